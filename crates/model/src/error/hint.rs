//! What the user may try, one hint an error; messages themselves only say what is.

use super::ModelError;

impl ModelError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Nn(error) => error.hint(),
            Self::NoFolder { similar: Some(path), .. } => Some(format!("did you mean {}?", path.display())),
            Self::NoFolder { .. } => Some("give a folder, or a model on the hub as `org/name`".into()),
            Self::SentencePieceOnly { .. } => Some(
                "load the tokenizer in Python, `AutoTokenizer.from_pretrained(path)`, and save it again, \
                 `tokenizer.save_pretrained(path)`; that writes tokenizer.json"
                    .into(),
            ),
            Self::Pickle { source, .. } => source.hint(),
            Self::TokenBeyondTable { .. } | Self::TokenTypeBeyondTable { .. } => {
                Some("are the tokenizer and the weights from the same model?".into())
            }
            Self::SequenceLength { .. } => Some("the model has no position embeddings beyond that".into()),
            Self::UnknownPrompt { known, .. } if known.is_empty() => Some("the model has no prompts".into()),
            Self::UnknownPrompt { known, .. } => Some(format!("the model has {}", known.join(", "))),
            Self::NoRoute { routes, .. } if routes.is_empty() => {
                Some("the model has no routes; leave the task out".into())
            }
            Self::NoRoute { routes, .. } => Some(format!(
                "the model has the routes {}; say what the texts are, a query or a document, or name one as their task",
                routes.join(" and ")
            )),
            _ => self.hub_hint(),
        }
    }

    fn hub_hint(&self) -> Option<String> {
        match self {
            Self::HubNotFound { similar: Some(path), .. } => {
                Some(format!("did you mean the folder {}?", path.display()))
            }
            Self::HubNotFound { .. } => {
                Some("check the spelling; a private model needs a token in HF_TOKEN; a local folder must exist".into())
            }
            Self::HubDenied { gated, has_token, .. } => Some(denied_hint(*gated, *has_token)),
            Self::HubNetwork { .. } => {
                Some("what was received is kept; with HF_HUB_OFFLINE=1 only the cache is used".into())
            }
            Self::HubTruncated { .. } => Some("run it again: the download goes on where it stopped".into()),
            Self::HubChecksum { .. } => Some("the file was discarded; run it again".into()),
            Self::HubOffline { .. } => Some("run it once without HF_HUB_OFFLINE".into()),
            _ => None,
        }
    }
}

fn denied_hint(gated: bool, has_token: bool) -> String {
    let token = if has_token {
        "the token in HF_TOKEN has no access"
    } else {
        "put an access token into HF_TOKEN"
    };
    match gated {
        true => format!("{token}; the model's page on the hub says how to get access"),
        false => token.to_owned(),
    }
}
