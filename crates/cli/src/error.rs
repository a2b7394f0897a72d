//! What a command can end with: the errors of the libraries, and those of the command line itself.

use std::{io, path::PathBuf};

use matryo_base::FileError;
use matryo_classify::ClassifyError;
#[cfg(feature = "collections")]
use matryo_collection::CollectionError;
use matryo_data::DataError;
use matryo_distill::DistillError;
use matryo_eval::EvalError;
use matryo_mining::MiningError;
use matryo_model::ModelError;
use matryo_train::{TrainError, card::CardError};

use crate::input::InputError;

/// Everything that ends a command early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// From the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// From a data file.
    #[error(transparent)]
    Data(#[from] DataError),
    /// From an evaluation.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// From mining and clustering.
    #[error(transparent)]
    Mining(#[from] MiningError),
    /// From a file of embeddings.
    #[error(transparent)]
    Input(#[from] InputError),
    /// From training.
    #[error(transparent)]
    Train(Box<TrainError>),
    /// From a collection.
    #[cfg(feature = "collections")]
    #[error(transparent)]
    Collection(Box<CollectionError>),
    /// A new collection of no model.
    #[cfg(feature = "collections")]
    #[error("there is no collection yet, and no model to make one with")]
    NoModel,
    /// A map of nothing.
    #[cfg(feature = "collections")]
    #[error("there is nothing to draw: no text of the collection was chosen")]
    EmptyMap,
    /// Standard input cannot be read.
    #[cfg(feature = "collections")]
    #[error("cannot read standard input: {0}")]
    Stdin(#[source] io::Error),
    /// From a classifier.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    /// From distilling.
    #[error(transparent)]
    Distill(#[from] DistillError),
    /// From the model card.
    #[error(transparent)]
    Card(#[from] CardError),
    /// A file or folder of the command's own.
    #[error(transparent)]
    File(#[from] FileError),
    /// Standard output is gone or full.
    #[error("cannot write to standard output: {0}")]
    Stdout(#[source] io::Error),
    /// Neither arguments nor a file nor a pipe.
    #[error("no text to work on")]
    NoText,
    /// Fewer texts than a comparison needs.
    #[error("nothing to compare with: {found} text, expected at least 2")]
    OneText {
        /// Texts there are.
        found: usize,
    },
    /// Row by row wants as many rows on both sides.
    #[error("{left} texts on one side and {right} on the other cannot be compared row by row")]
    UnequalSides {
        /// Texts of the first side.
        left: usize,
        /// Texts of `--against`.
        right: usize,
    },
    /// An extension that stands for no format.
    #[error("cannot tell the format of {}", path.display())]
    OutputFormat {
        /// The file asked for.
        path: PathBuf,
    },
    /// Classes are written in one format only.
    #[error("classes cannot be written to {}", path.display())]
    ClassesFormat {
        /// The file asked for.
        path: PathBuf,
    },
    /// An extension that stands for no format of records.
    #[error("cannot tell the format of {}", path.display())]
    RecordFormat {
        /// The file asked for.
        path: PathBuf,
    },
    /// An extension that stands for no format of texts.
    #[error("cannot tell the format of {}", path.display())]
    TextFormat {
        /// The file asked for.
        path: PathBuf,
    },
    /// A text of several lines in a file of lines.
    #[error("text {number} holds a line break, but {} has one text a line", path.display())]
    LineBreak {
        /// The file asked for.
        path: PathBuf,
        /// The text, from 1.
        number: usize,
    },
    /// As many embeddings as texts are wanted.
    #[error("{texts} {} but {embeddings} embeddings\n  in {}", if *texts == 1 { "text" } else { "texts" }, path.display())]
    Count {
        /// Texts there are.
        texts: usize,
        /// Embeddings there are.
        embeddings: usize,
        /// The file of embeddings.
        path: PathBuf,
    },
    /// Embeddings of other texts.
    #[error("text {number} is not the one that its embedding was made of\n  in {}", path.display())]
    OtherText {
        /// The text, from 1.
        number: usize,
        /// The file of embeddings.
        path: PathBuf,
    },
    /// A way of clustering that has to be told more.
    #[error("--method {method} needs {needs}")]
    MethodNeeds {
        /// The method.
        method: &'static str,
        /// What is missing.
        needs: &'static str,
    },
    /// An option of another way of clustering.
    #[error("{option} means nothing to --method {method}")]
    MethodIgnores {
        /// The method.
        method: &'static str,
        /// The option.
        option: &'static str,
        /// Methods that it means something to.
        of: String,
    },
    /// The folder of an output file is not there.
    #[error("the folder of {} does not exist", path.display())]
    NoOutputFolder {
        /// The file asked for.
        path: PathBuf,
    },
    /// A place where no folder can be made: a file, a link to nowhere, or below a file.
    #[error("no folder can be made at {}", path.display())]
    NoFolder {
        /// The place.
        path: PathBuf,
    },
    /// A folder that is to be written has something in it.
    #[error("the folder {} is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A card is to be written where one lies.
    #[error("{} exists", path.display())]
    CardExists {
        /// The card there is.
        path: PathBuf,
    },
    /// A metric of `--require` that was not measured.
    #[error("no metric `{key}` was measured")]
    UnknownMetric {
        /// As asked for.
        key: String,
        /// The metric with the nearest name.
        similar: Option<String>,
    },
    /// The thread pool could not be made.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// The pool's reason.
        source: rayon::ThreadPoolBuildError,
    },
}

impl From<TrainError> for CliError {
    fn from(error: TrainError) -> Self {
        Self::Train(Box::new(error))
    }
}

#[cfg(feature = "collections")]
impl From<CollectionError> for CliError {
    fn from(error: CollectionError) -> Self {
        Self::Collection(Box::new(error))
    }
}

impl CliError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint(),
            Self::Data(error) => error.hint(),
            Self::Eval(error) => error.hint(),
            Self::Mining(error) => error.hint(),
            Self::Input(error) => error.hint(),
            Self::MethodIgnores { option, of, .. } => Some(format!("{option} belongs to {of}")),
            Self::Train(error) => error.hint(),
            Self::Classify(error) => error.hint(),
            Self::Distill(error) => error.hint(),
            Self::Card(error) => error.hint(),
            #[cfg(feature = "collections")]
            Self::Collection(error) => error.hint(),
            #[cfg(feature = "collections")]
            Self::NoModel => Some("name one with `--model`".to_owned()),
            Self::UnknownMetric { similar, .. } => {
                similar.as_ref().map(|key| format!("did you mean `{key}`?"))
            }
            Self::File(error) => error.hint(),
            Self::Stdout(source) if source.kind() == io::ErrorKind::StorageFull => {
                Some("the disk is full".into())
            }
            other => other.fixed_hint().map(str::to_owned),
        }
    }

    fn fixed_hint(&self) -> Option<&'static str> {
        match self {
            Self::NoText => Some("give texts as arguments, with `--input FILE`, or through a pipe"),
            Self::OneText { .. } => {
                Some("give more texts, or a file of them with `--against FILE`")
            }
            Self::OutputFormat { .. } => {
                Some("the name should end in .npy, .jsonl, .parquet or .safetensors")
            }
            Self::ClassesFormat { .. } => Some("the name should end in .jsonl"),
            Self::RecordFormat { .. } => Some("the name should end in .csv, .jsonl or .parquet"),
            Self::TextFormat { .. } => {
                Some("the name should end in .txt, .jsonl, .csv or .parquet")
            }
            Self::LineBreak { .. } => Some("write a .jsonl file"),
            Self::Count { .. } | Self::OtherText { .. } => {
                Some("give the texts that were encoded, in their order, or encode again")
            }
            Self::MethodNeeds { .. } => {
                Some("-k N is a number of clusters, --threshold T a cosine from -1 to 1")
            }
            Self::NoOutputFolder { .. } => Some("create it first; nothing was computed"),
            Self::NoFolder { .. } => Some("give the name of a new folder; nothing was computed"),
            Self::NotEmpty { .. } => {
                Some("give a new folder, or empty this one; nothing was overwritten")
            }
            Self::CardExists { .. } => Some("`--overwrite` replaces it"),
            _ => None,
        }
    }

    /// Whether the reader of standard output has simply seen enough.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Stdout(source) if source.kind() == io::ErrorKind::BrokenPipe)
    }
}
