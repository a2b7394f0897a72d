//! What can go wrong with a classifier: its data, its folder, its training.

use std::path::PathBuf;

use matryo_base::FileError;
use matryo_data::DataError;
use matryo_model::ModelError;
use matryo_train::TrainError;

/// Everything that training, opening or using a classifier can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassifyError {
    /// Nothing to tell apart.
    #[error("every row has the label `{label}`, expected at least two classes\n  in {}", path.display())]
    OneClass {
        /// The file.
        path: PathBuf,
        /// The only class.
        label: String,
    },
    /// Fewer examples than were asked for.
    #[error("class `{label}` has {found} {}, expected at least {wanted}", if *found == 1 { "example" } else { "examples" })]
    TooFewExamples {
        /// The class.
        label: String,
        /// Its examples.
        found: usize,
        /// What was asked for.
        wanted: usize,
    },
    /// Few-shot training on many examples.
    #[error("few-shot training on {examples} examples makes {pairs} pairs, more than {limit}")]
    TooManyPairs {
        /// The examples.
        examples: usize,
        /// Pairs, or combinations that they are drawn from.
        pairs: usize,
        /// The most there can be.
        limit: usize,
    },
    /// A model without a head.
    #[error("the folder has no classifier: `{file}` is missing\n  in {}", folder.display())]
    NoClassifier {
        /// The folder.
        folder: PathBuf,
        /// The file that is not there.
        file: &'static str,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The description of the head is not JSON, or not of its form.
    #[error("not the description of a classifier: {source}\n  in {}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's reason, with line and column.
        source: serde_json::Error,
    },
    /// A head of another version.
    #[error("the classifier has format {found}, expected {expected}\n  in {}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that is understood.
        expected: u32,
    },
    /// A head of another kind.
    #[error("the head is `{found}`, expected `{expected}`\n  in {}", path.display())]
    HeadType {
        /// The file.
        path: PathBuf,
        /// Its kind.
        found: String,
        /// The kind that is understood.
        expected: &'static str,
    },
    /// Too few classes to choose from.
    #[error("the classifier has {found} {}, expected at least 2\n  in {}", if *found == 1 { "label" } else { "labels" }, path.display())]
    FewLabels {
        /// The file.
        path: PathBuf,
        /// Labels there are.
        found: usize,
    },
    /// A label that is blank.
    #[error("label {index} is empty\n  in {}", path.display())]
    BlankLabel {
        /// The file.
        path: PathBuf,
        /// Its place, from 0.
        index: usize,
    },
    /// Two classes of one name.
    #[error("label `{label}` is there twice\n  in {}", path.display())]
    RepeatedLabel {
        /// The file.
        path: PathBuf,
        /// The label.
        label: String,
    },
    /// The weights of the head are no safetensors file.
    #[error("not a valid safetensors file: {source}\n  in {}", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: safetensors::SafeTensorError,
    },
    /// A tensor that is not there.
    #[error("tensor `{name}` is missing, found {}\n  in {}", found.join(", "), path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: &'static str,
        /// The tensors there.
        found: Vec<String>,
    },
    /// A tensor that nothing knows.
    #[error("unexpected tensor `{name}`, expected `coef` and `intercept`\n  in {}", path.display())]
    UnexpectedTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor of another shape than labels and width ask for.
    #[error("tensor `{name}` has shape {found:?}, expected {expected:?}\n  in {}", path.display())]
    TensorShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// A tensor of another type.
    #[error("tensor `{name}` has dtype {found}, expected F64 or F32\n  in {}", path.display())]
    TensorDtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: &'static str,
        /// Its dtype.
        found: String,
    },
    /// A value that is infinite or no number.
    #[error("tensor `{name}` has the value {value} at {index}\n  in {}", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: &'static str,
        /// The place among its values, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// The head was trained on embeddings of another width.
    #[error("the classifier takes embeddings of {found} values, the model gives {expected}\n  in {}", folder.display())]
    Width {
        /// The folder.
        folder: PathBuf,
        /// Width of the head.
        found: usize,
        /// Width of the model.
        expected: usize,
    },
    /// The data could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model could not be opened, run or saved.
    #[error(transparent)]
    Model(Box<ModelError>),
    /// The embeddings could not be tuned.
    #[error(transparent)]
    Train(Box<TrainError>),
}

impl ClassifyError {
    /// What the user may try.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File(error) => return error.hint(),
            Self::Data(error) => return error.hint(),
            Self::Model(error) => return error.hint(),
            Self::Train(error) => return error.hint(),
            Self::OneClass { .. } => {
                "a classifier needs examples of every class; is it the right label column?"
            }
            Self::TooFewExamples { .. } => "ask for fewer examples per class, or add some",
            Self::TooManyPairs { .. } => {
                "limit the examples per class, the iterations or the steps, or train a linear probe, which makes no pairs"
            }
            Self::NoClassifier { .. } => {
                "`matryo classify train` makes such a folder from a model and labelled texts"
            }
            Self::Format {
                found, expected, ..
            } if found > expected => "it was written by a newer matryo",
            Self::MissingTensor { .. } | Self::TensorShape { .. } | Self::Width { .. } => {
                "are the classifier's two files and the model from one training?"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

// Boxed, since every `Result` would otherwise carry their size.
impl From<ModelError> for ClassifyError {
    fn from(error: ModelError) -> Self {
        Self::Model(Box::new(error))
    }
}

impl From<TrainError> for ClassifyError {
    fn from(error: TrainError) -> Self {
        Self::Train(Box::new(error))
    }
}
