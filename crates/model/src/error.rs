//! What can go wrong with a model: files, shapes, names, the network.

mod hint;

use std::path::{Path, PathBuf};

use matryo_base::FileError;

/// Everything that opening, saving, downloading or running a model can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A path that should be a model folder is not there, or is not a folder.
    #[error("no model folder at {}", path.display())]
    NoFolder {
        /// What was asked for.
        path: PathBuf,
        /// A folder beside it with a similar name.
        similar: Option<PathBuf>,
    },
    /// A file that every model folder needs is missing.
    #[error("the model folder has no `{file}`\n  in {}", folder.display())]
    MissingFile {
        /// The folder.
        folder: PathBuf,
        /// The file's name.
        file: String,
    },
    /// Weights exist, but only as a Python pickle.
    #[error("the weights are only there as a pickle, `{file}`, and not as safetensors\n  in {}", folder.display())]
    PickledWeights {
        /// The folder.
        folder: PathBuf,
        /// The file's name.
        file: String,
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
    /// A module type in modules.json that matryo does not have.
    #[error("module {index} has type `{found}`, which is not supported\n  in {}", path.display())]
    UnknownModule {
        /// modules.json.
        path: PathBuf,
        /// Its place in the list, from 0.
        index: usize,
        /// The type as written.
        found: String,
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
        expected: &'static str,
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
    /// A tensor holds numbers that cannot be read as `f32`.
    #[error("tensor `{name}` has dtype {found}, expected F32, F16 or BF16\n  in {}", path.display())]
    TensorDtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its dtype.
        found: String,
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
    /// A model of a family that matryo does not have.
    #[error("`model_type` is \"{found}\", which is not supported\n  in {}", path.display())]
    UnknownArchitecture {
        /// config.json.
        path: PathBuf,
        /// The type as written.
        found: String,
        /// The types there are.
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
        /// What it says.
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
    /// The tokenizer knows tokens that the word-embedding table has no row for.
    #[error("the tokenizer has {found} tokens, the word-embedding table {rows} rows\n  in {}", folder.display())]
    VocabularySize {
        /// The model folder.
        folder: PathBuf,
        /// Tokens of the tokenizer.
        found: usize,
        /// Rows of the table.
        rows: usize,
    },
    /// A longest input that the model cannot take.
    #[error("the longest input is set to {found} tokens, expected 1 to {positions}")]
    SequenceLength {
        /// What was asked for.
        found: usize,
        /// Positions of the model.
        positions: usize,
    },
    /// More dimensions asked for than an embedding has, or none.
    #[error("cannot keep {found} dimensions, expected 1 to {dim}")]
    TruncateDim {
        /// What was asked for.
        found: usize,
        /// Width of an embedding.
        dim: usize,
    },
    /// A prompt name that the model does not have.
    #[error("unknown prompt name `{name}`")]
    UnknownPrompt {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The tokenizer's files are not understood.
    #[error("cannot load the tokenizer: {source}\n  in {}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// The tokenizer library's reason.
        source: tokenizers::Error,
    },
    /// The tokenizer refused a text.
    #[error("cannot tokenize {:?}: {source}", shorten(text))]
    Tokenize {
        /// The text.
        text: String,
        /// The tokenizer library's reason.
        source: tokenizers::Error,
    },
    /// The hub has no such model or revision, or hides it.
    #[error("{endpoint} has no model `{name}` with revision `{revision}`")]
    HubNotFound {
        /// `org/name`.
        name: String,
        /// Branch, tag or commit.
        revision: String,
        /// The hub.
        endpoint: String,
        /// A local folder of a similar name.
        similar: Option<PathBuf>,
    },
    /// The hub refuses access.
    #[error("{endpoint} denies access to `{name}` (status {status})")]
    HubDenied {
        /// `org/name`.
        name: String,
        /// The hub.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// Whether its owner grants access one by one.
        gated: bool,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// The hub answered with an error.
    #[error("the server answered with status {status}\n  at {url}")]
    HubStatus {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The hub could not be reached, or the connection broke.
    #[error("cannot reach the server: {source}\n  at {url}")]
    HubNetwork {
        /// What was asked for.
        url: String,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The hub's answer makes no sense.
    #[error("the server's answer is not understood: {problem}\n  at {url}")]
    HubResponse {
        /// What was asked for.
        url: String,
        /// What is wrong with the answer.
        problem: &'static str,
    },
    /// A download has another length than announced.
    #[error("received {found} bytes, expected {expected}\n  from {url}")]
    HubTruncated {
        /// The file.
        url: String,
        /// Bytes received.
        found: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// A download has another content than announced.
    #[error("received a file with sha256 {found}, expected {expected}\n  from {url}")]
    HubChecksum {
        /// The file.
        url: String,
        /// Its sha256.
        found: String,
        /// The announced sha256.
        expected: String,
    },
    /// A model that is not in the cache was asked for with the network switched off.
    #[error("`{name}` with revision `{revision}` is not in the cache, and HF_HUB_OFFLINE is set\n  in {}", cache.display())]
    HubOffline {
        /// `org/name`.
        name: String,
        /// Branch, tag or commit.
        revision: String,
        /// The cache.
        cache: PathBuf,
    },
}

impl ModelError {
    /// An error of the file system, ready for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| FileError::new(action, path)(source).into()
    }
}

/// The start of a text, for messages.
fn shorten(text: &str) -> String {
    const KEPT: usize = 60;
    let mut start: String = text.chars().take(KEPT).collect();
    if text.chars().nth(KEPT).is_some() {
        start.push_str("...");
    }
    start
}
