//! Which prompt goes before the texts (semantics of `encode`, `encode_query` and `encode_document` of sentence-transformers).

use super::{EncodeOptions, SentenceEncoder};
use crate::{ModelError, Role};

/// A prompt and how many leading tokens pooling leaves out because of it.
pub(super) struct Prompt {
    pub(super) text: String,
    pub(super) skip: u32,
}

impl SentenceEncoder {
    /// The prompt of a call: its text, else its name, else its role's, else the model's default, else none.
    pub(super) fn prompt(
        &self,
        options: &EncodeOptions<'_>,
        max_len: usize,
    ) -> Result<Prompt, ModelError> {
        let text = match (&options.prompt, &options.prompt_name) {
            (Some(text), _) => text.clone(),
            (None, Some(name)) => self.prompt_named(name)?.to_owned(),
            (None, None) => self.prompt_of(options.role).unwrap_or_default().to_owned(),
        };
        let counts = self.folder.pooling.include_prompt || text.is_empty();
        let skip = if counts {
            0
        } else {
            self.tokenizer.prompt_len(&text, max_len)? as u32
        };
        Ok(Prompt { text, skip })
    }

    fn prompt_named(&self, name: &str) -> Result<&str, ModelError> {
        self.find_prompt(name)
            .ok_or_else(|| ModelError::UnknownPrompt {
                name: name.to_owned(),
                known: self
                    .folder
                    .settings
                    .prompts
                    .iter()
                    .map(|(known, _)| known.clone())
                    .collect(),
            })
    }

    fn prompt_of(&self, role: Role) -> Option<&str> {
        let names: &[&str] = match role {
            Role::Plain => &[],
            Role::Query => &["query"],
            Role::Document => &["document", "passage", "corpus"],
        };
        let default = self.folder.settings.default_prompt_name.as_deref();
        names
            .iter()
            .copied()
            .find_map(|name| self.find_prompt(name))
            .or_else(|| self.find_prompt(default?))
    }

    fn find_prompt(&self, name: &str) -> Option<&str> {
        self.folder
            .settings
            .prompts
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, text)| text.as_str())
    }
}
