//! What the user may try, one hint an error; messages themselves only say what is.

use super::ModelError;

impl ModelError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::NoFolder { similar: Some(path), .. } => Some(format!("did you mean {}?", path.display())),
            Self::NoFolder { .. } => Some("give a folder, or a model on the hub as `org/name`".into()),
            Self::MissingFile { file, .. } => missing_file_hint(file),
            Self::PickledWeights { .. } => Some(
                "load the model in Python and save it again, `model.save_pretrained(path)`; that writes safetensors"
                    .into(),
            ),
            Self::UnknownKey { similar, .. } => Some(match similar {
                Some(key) => format!("did you mean `{key}`?"),
                None => "a key that is not understood could change every embedding, so it is not passed over".into(),
            }),
            Self::UnknownModule { .. } => {
                Some("supported are Transformer, Pooling, Dense and Normalize of sentence-transformers".into())
            }
            Self::FileLength { found, expected, .. } if found < expected => {
                Some("the file was cut short; download or copy it again".into())
            }
            Self::MissingTensor { similar, .. } => similar.as_ref().map(|n| format!("the file has `{n}`")),
            Self::TensorShape { .. } | Self::WidthMismatch { .. } => Some("are the files from the same model?".into()),
            Self::UnknownArchitecture { supported, .. } => Some(format!("supported is {supported}")),
            Self::WeightShape { key, value, .. } => {
                Some(format!("`{key}` in config.json is {value}; are the two files from the same model?"))
            }
            Self::UnmatchedPattern { examples, .. } => {
                Some(format!("`*` stands for anything; there are {}", examples.join(", ")))
            }
            Self::VocabularySize { .. } => Some("are the tokenizer and the weights from the same model?".into()),
            Self::SequenceLength { .. } => Some("the model has no position embeddings beyond that".into()),
            Self::UnknownPrompt { known, .. } if known.is_empty() => Some("the model has no prompts".into()),
            Self::UnknownPrompt { known, .. } => Some(format!("the model has {}", known.join(", "))),
            Self::RowOutOfRange { .. } => Some("are the tokenizer and the weights from the same model?".into()),
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

fn missing_file_hint(file: &str) -> Option<String> {
    match file {
        "config.json" => {
            Some("a model folder holds config.json, model.safetensors and a tokenizer".into())
        }
        "tokenizer.json" => {
            Some("tokenizer.json, or vocab.txt for an old BERT model, must be there".into())
        }
        _ => None,
    }
}
