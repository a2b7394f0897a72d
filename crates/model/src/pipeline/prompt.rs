//! Which prompt goes before the texts (semantics of `encode`, `encode_query` and `encode_document` of sentence-transformers).

use crate::{ModelError, Role, Settings};

/// A prompt and how many leading tokens pooling leaves out because of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Put before each text.
    pub text: String,
    /// Leading tokens that pooling leaves out.
    pub skip: u32,
    /// The route of the texts; 0 in a model without routes.
    pub route: usize,
}

/// How a call chooses its prompt: by its text, else by its name, else by what the texts are.
#[derive(Clone, Copy, Debug, Default)]
pub struct PromptChoice<'a> {
    /// The prompt itself.
    pub text: Option<&'a str>,
    /// Name of one of the model's prompts.
    pub name: Option<&'a str>,
    /// What the texts are.
    pub role: Role,
    /// Task of the texts, which chooses their route; without one their role is it.
    pub task: Option<&'a str>,
}

impl<'a> PromptChoice<'a> {
    /// This text, whatever prompts the model has.
    pub fn of_text(text: &'a str) -> Self {
        Self {
            text: Some(text),
            ..Self::default()
        }
    }
}

/// The prompts of a model.
#[derive(Clone, Debug)]
pub(super) struct Prompts {
    settings: Settings,
}

impl Prompts {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
        }
    }

    /// The prompt of a choice, the model's default if it chooses none, else nothing.
    pub(super) fn text<'a>(&'a self, choice: &PromptChoice<'a>) -> Result<&'a str, ModelError> {
        match (choice.text, choice.name) {
            (Some(text), _) => Ok(text),
            (None, Some(name)) => {
                let unknown = || {
                    let known = self.settings.prompts.iter().map(|(name, _)| name.clone());
                    ModelError::UnknownPrompt {
                        name: name.to_owned(),
                        known: known.collect(),
                    }
                };
                self.settings.prompt(name).ok_or_else(unknown)
            }
            (None, None) => Ok(self.of_role(choice.role).unwrap_or_default()),
        }
    }

    /// sentence-transformers gives each model a `query` and a `document`, empty unless they are set. So neither the default prompt nor one
    /// of another name, such as `passage`, takes their place.
    fn of_role(&self, role: Role) -> Option<&str> {
        let name = match role {
            Role::Plain => self.settings.default_prompt_name.as_deref()?,
            Role::Query => "query",
            Role::Document => "document",
        };
        self.settings.prompt(name)
    }
}
