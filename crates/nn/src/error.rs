//! What can go wrong while a network is read and built: files, keys, tensors, modules.

use std::path::PathBuf;

use matryo_base::{StandIn, files::FileError};

/// Everything that reading configurations and weights can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NnError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that the model needs is missing.
    #[error("the model folder has no `{file}`\n  in {}", folder.display())]
    MissingFile {
        /// The folder.
        folder: PathBuf,
        /// Name of the file.
        file: String,
    },
    /// Weights exist, but only as a Python pickle.
    #[error("the weights are only there as a pickle, `{file}`, and not as safetensors\n  in {}", folder.display())]
    PickledWeights {
        /// The folder.
        folder: PathBuf,
        /// Name of the file.
        file: String,
    },
    /// Weights exist, but only in a form of another program.
    #[error("the weights are only there as `{file}`, and not as safetensors\n  in {}", folder.display())]
    OtherWeights {
        /// The folder.
        folder: PathBuf,
        /// Name of the file.
        file: String,
    },
    /// Something that lies in the place of a file.
    #[error("the file is {found}, not what its name says\n  in {}", path.display())]
    StandIn {
        /// The file.
        path: PathBuf,
        /// What.
        found: StandIn,
    },
    /// A file is not JSON, or not of the form it should have.
    #[error("not valid JSON: {source}\n  in {}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's reason, with line and column.
        source: serde_json::Error,
    },
    /// A key of a configuration file has a value that is not understood.
    #[error("`{key}` is {found}, expected {expected}\n  in {}", path.display())]
    ConfigValue {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value, as JSON; `missing` when it is not there.
        found: String,
        /// What would be understood.
        expected: String,
    },
    /// A key of a configuration file is not understood.
    #[error("unknown key `{key}`\n  in {}", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The nearest known key.
        similar: Option<String>,
    },
    /// A module type in modules.json that there is no code for.
    #[error("module {index} has type `{found}`, which is not supported\n  in {}", path.display())]
    UnknownModule {
        /// modules.json.
        path: PathBuf,
        /// Its place in the list, from 0.
        index: usize,
        /// The type as written.
        found: String,
        /// Classes that are supported.
        supported: String,
    },
    /// Modules that do not fit together in the order they are listed.
    #[error("module {index} is {found}, expected {expected}\n  in {}", path.display())]
    ModuleOrder {
        /// modules.json.
        path: PathBuf,
        /// The place in the list, from 0.
        index: usize,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
    /// A width that disagrees with the width of what comes before.
    #[error("`{key}` is {found}, but {origin} gives {expected}\n  in {}", path.display())]
    WidthMismatch {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// The width there.
        found: usize,
        /// Where the other width comes from.
        origin: String,
        /// The other width.
        expected: usize,
    },
    /// A module reads the hidden states of all layers, which no module before hands on.
    #[error("the module needs the hidden states of all layers, which no module before hands on\n  in {}", path.display())]
    NoHiddenStates {
        /// The module's configuration.
        path: PathBuf,
    },
    /// A file is not a valid safetensors file.
    #[error("not a valid safetensors file: {source}\n  in {}", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: safetensors::SafeTensorError,
    },
    /// A file is shorter or longer than its header says.
    #[error("the file has {found} bytes, its header promises {expected}\n  in {}", path.display())]
    FileLength {
        /// The file.
        path: PathBuf,
        /// Bytes there are.
        found: u64,
        /// Bytes there should be.
        expected: u64,
    },
    /// A tensor that the model needs is not in the file.
    #[error("tensor `{name}` is missing\n  in {}", path.display())]
    MissingTensor {
        /// The file, or the index of shards.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The tensor with the nearest name.
        similar: Option<String>,
    },
    /// The tensors stand under a prefix that the family does not have.
    #[error("the tensors have the prefix `{found}`, expected {expected}\n  in {}", path.display())]
    TensorPrefix {
        /// The file, or the index of shards.
        path: PathBuf,
        /// The prefix.
        found: String,
        /// Prefixes that are understood.
        expected: String,
    },
    /// The weights stand in the file twice, with the family's prefix and without.
    #[error("the file has both `{}` and `{}`, expected one of them\n  in {}", names[0], names[1], path.display())]
    TensorTwice {
        /// The file, or the index of shards.
        path: PathBuf,
        /// Both names.
        names: [String; 2],
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("tensor `{name}` has shape {found:?}, expected {expected:?}\n  in {}", path.display())]
    TensorShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor that should be a matrix is not.
    #[error("tensor `{name}` has shape {found:?}, expected a matrix\n  in {}", path.display())]
    TensorRank {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A tensor holds numbers of a type that is not read there.
    #[error("tensor `{name}` has dtype {found}, expected {expected}\n  in {}", path.display())]
    TensorDtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its dtype.
        found: String,
        /// Types that are read.
        expected: &'static str,
    },
    /// A row of a table was asked for that it does not have.
    #[error("token id {row} is outside of tensor `{name}` with {rows} rows\n  in {}", path.display())]
    RowOutOfRange {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The row asked for.
        row: u32,
        /// Rows there are.
        rows: usize,
    },
    /// A token for which a table's `mapping` names a row that the table does not have.
    #[error("`mapping` leads token {token} to row {found}, but the table has {rows}\n  in {}", path.display())]
    MappedRow {
        /// The file.
        path: PathBuf,
        /// The token.
        token: usize,
        /// The row.
        found: i64,
        /// Rows there are.
        rows: usize,
    },
    /// A model of a family that there is no code for.
    #[error("`model_type` is \"{found}\", which is not supported\n  in {}", path.display())]
    UnknownFamily {
        /// config.json.
        path: PathBuf,
        /// The type as written.
        found: String,
        /// The types that are supported.
        supported: String,
    },
    /// A model that is computed by Python code of its own.
    #[error("`auto_map` is {found}: the model brings Python code of its own, which is not run\n  in {}", path.display())]
    CustomCode {
        /// config.json.
        path: PathBuf,
        /// The code.
        found: String,
        /// The types of models that are supported.
        supported: String,
    },
    /// A weight has another shape than config.json says.
    #[error("tensor `{name}` has shape {found:?}, expected {expected:?}\n  in {}", path.display())]
    WeightShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that config.json asks for.
        expected: Vec<usize>,
        /// The key of config.json that gives the first length that differs.
        key: &'static str,
        /// The length that it gives.
        value: usize,
    },
    /// A freeze pattern that no parameter has as its name.
    #[error("no parameter matches the pattern `{pattern}`")]
    UnmatchedPattern {
        /// The pattern.
        pattern: String,
        /// Some names there are.
        examples: Vec<String>,
    },
    /// The freeze patterns leave nothing to train.
    #[error("all {parameters} parameters are frozen, none is left to train")]
    AllFrozen {
        /// How many tensors there are.
        parameters: usize,
    },
}

impl NnError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        const SAME_MODEL: &str = "are the files from the same model?";
        match self {
            Self::File(error) => error.hint(),
            Self::MissingFile { file, .. } => missing_file_hint(file),
            Self::PickledWeights { .. } => Some(
                "`matryo convert FOLDER` writes safetensors beside them, without running what a pickle may hold"
                    .into(),
            ),
            Self::OtherWeights { .. } => {
                Some("take the model that this was made from, in the form of transformers".into())
            }
            Self::StandIn { found, .. } => Some(found.hint().to_owned()),
            Self::UnknownKey { similar, .. } => Some(match similar {
                Some(key) => format!("did you mean `{key}`?"),
                None => "a key that is not understood could change every embedding, so it is not passed over".into(),
            }),
            Self::UnknownModule {
                found, supported, ..
            } if !found.starts_with("sentence_transformers.") => Some(format!(
                "a class that is not of sentence-transformers is Python code of the model's own, which is not run; supported are {supported}"
            )),
            Self::UnknownModule { supported, .. } => {
                Some(format!("supported are {supported} of sentence-transformers"))
            }
            Self::NoHiddenStates { .. } => Some(
                "set `output_hidden_states` to true in config.json of the Transformer; without it sentence-transformers passes the module over without a word"
                    .into(),
            ),
            Self::FileLength {
                found, expected, ..
            } if found < expected => {
                Some("the file was cut short; download or copy it again".into())
            }
            Self::MissingTensor { similar, .. } => {
                similar.as_ref().map(|name| format!("the file has `{name}`"))
            }
            Self::TensorTwice { .. } => {
                Some("save one of the two models into a file of its own".into())
            }
            Self::TensorPrefix { .. } => {
                Some("is config.json of the same family as the weights?".into())
            }
            Self::TensorShape { .. } | Self::WidthMismatch { .. } => Some(SAME_MODEL.into()),
            Self::UnknownFamily { supported, .. } => Some(format!("supported are {supported}")),
            Self::CustomCode { supported, .. } => Some(format!(
                "take the form of the model that transformers opens without `trust_remote_code`, if there is one; supported are {supported}"
            )),
            Self::WeightShape { key, value, .. } => Some(format!(
                "`{key}` in config.json is {value}; are the two files from the same model?"
            )),
            Self::UnmatchedPattern { examples, .. } => Some(format!(
                "`*` stands for anything; there are {}",
                examples.join(", ")
            )),
            Self::RowOutOfRange { .. } => {
                Some("are the tokenizer and the weights from the same model?".into())
            }
            _ => None,
        }
    }
}

fn missing_file_hint(file: &str) -> Option<String> {
    match file {
        "config.json" => {
            Some("a model folder holds config.json, model.safetensors and a tokenizer".into())
        }
        "tokenizer.json" => {
            Some("tokenizer.json, or vocab.txt for an old WordPiece model, must be there".into())
        }
        _ => None,
    }
}
