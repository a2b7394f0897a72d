//! Why a file was not read.

use matryo_base::StandIn;

/// Everything that can be wrong with a file of torch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleError {
    /// Not a file of torch at all.
    #[error("{found}, expected a file that torch has saved")]
    Form {
        /// What the file seems to be.
        found: &'static str,
    },
    /// Something that lies in the place of the file.
    #[error("the file is {found}, not what its name says")]
    StandIn {
        /// What.
        found: StandIn,
    },
    /// The zip around the pickle is damaged, or not as torch writes it.
    #[error("the zip archive: {0}")]
    Archive(String),
    /// The pickle ends too early.
    #[error("the pickle is cut short at byte {at}")]
    Short {
        /// Where it ends.
        at: usize,
    },
    /// An instruction of the pickle that is not understood.
    #[error(
        "the pickle has instruction {code:#04x} at byte {at}, which files of tensors do not need"
    )]
    Instruction {
        /// The instruction.
        code: u8,
        /// Where it stands.
        at: usize,
    },
    /// An instruction whose operands make no sense.
    #[error("the pickle is damaged at byte {at}: {what}")]
    Damaged {
        /// Where.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A function or class that is not allowed.
    #[error("the file calls for `{name}`, which is not needed to store tensors and could run code")]
    Global {
        /// Module and name.
        name: String,
    },
    /// No tensors where they were looked for.
    #[error("there are no tensors at the top of the file")]
    NoTensors {
        /// Entries that hold some.
        within: Vec<String>,
    },
    /// An entry that is not there.
    #[error("the file has no entry `{key}`, but {found}")]
    NoKey {
        /// What was asked for.
        key: String,
        /// What there is.
        found: String,
    },
    /// A tensor that makes no sense.
    #[error("tensor `{name}`: {what}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What is wrong.
        what: String,
    },
}

impl PickleError {
    /// What to try, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoTensors { within } if !within.is_empty() => Some(format!(
                "entries that hold tensors: {}; name one with `--key`",
                within.join(", ")
            )),
            Self::StandIn { found } => Some(found.hint().to_owned()),
            Self::Global { .. } => Some(
                "in Python, save the tensors alone: `torch.save(model.state_dict(), path)`".into(),
            ),
            Self::Short { .. } => Some("was the file copied whole?".into()),
            _ => None,
        }
    }
}
