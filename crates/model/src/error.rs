//! What can go wrong with a model: files, shapes, names, the network.

mod hint;

use std::path::PathBuf;

use matryo_base::files::FileError;
use matryo_nn::NnError;
use matryo_pickle::PickleError;

/// Everything that opening, saving, downloading or running a model can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A configuration, module or tensor is not what it should be.
    #[error(transparent)]
    Nn(#[from] NnError),
    /// A pickle of torch that is not read.
    #[error("{source}\n  in {}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PickleError,
    },
    /// A folder without weights that could be converted.
    #[error("there is no pytorch_model.bin without a model.safetensors beside it\n  in {}", folder.display())]
    NothingToConvert {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder of a module lies somewhere else, through a link.
    #[error("{} leads out of the model's folder, to {}", path.display(), found.display())]
    OutsideFolder {
        /// The folder in the model's.
        path: PathBuf,
        /// Where it leads.
        found: PathBuf,
    },
    /// A path that should be a model folder is not there, or is not a folder.
    #[error("no model folder at {}", path.display())]
    NoFolder {
        /// What was asked for.
        path: PathBuf,
        /// A folder beside it with a similar name.
        similar: Option<PathBuf>,
    },
    /// The vocabulary is there only as a sentencepiece model.
    #[error("the tokenizer is only there as `{file}`, and not as tokenizer.json\n  in {}", folder.display())]
    SentencePieceOnly {
        /// The folder.
        folder: PathBuf,
        /// Name of the file.
        file: &'static str,
    },
    /// A text has a token that the word-embedding table has no row for.
    #[error(
        "the token `{token}` has id {id}, the word-embedding table {rows} rows\n  in the text {:?}",
        shorten(text)
    )]
    TokenBeyondTable {
        /// The text.
        text: String,
        /// The token.
        token: String,
        /// Its id.
        id: u32,
        /// Rows of the table.
        rows: usize,
    },
    /// A tokenizer gives a text a token type that the token-type table has no row for.
    #[error(
        "the tokenizer gives token type {found}, the token-type table has {rows} rows\n  in the text {:?}",
        shorten(text)
    )]
    TokenTypeBeyondTable {
        /// The text.
        text: String,
        /// The type.
        found: u32,
        /// Rows of the table.
        rows: usize,
    },
    /// The caller ended the work.
    #[error("cancelled")]
    Cancelled,
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
    /// No route of a model is for texts of a task, or for texts without one.
    #[error("no route for {}", task.as_ref().map_or("texts without a task".to_owned(), |task| format!("the task `{task}`")))]
    NoRoute {
        /// The task, if there is one.
        task: Option<String>,
        /// The routes there are.
        routes: Vec<String>,
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

/// The start of a text, for messages.
fn shorten(text: &str) -> String {
    const KEPT: usize = 60;
    let mut start: String = text.chars().take(KEPT).collect();
    if text.chars().nth(KEPT).is_some() {
        start.push_str("...");
    }
    start
}
