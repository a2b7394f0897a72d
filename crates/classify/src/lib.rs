//! Classification on sentence embeddings: a head of logistic regression, on the embeddings as they are (a linear probe) or on
//! embeddings that were first tuned on pairs of a few labelled texts (SetFit, Tunstall et al. 2022).
//!
//! [`train`] makes a folder: a complete sentence-transformers model with `classifier.json` and `classifier.safetensors` beside it.
//! [`Classifier`] opens it and gives probabilities, [`evaluate`] says how good and how honest they are.

mod calibration;
mod card;
mod classifier;
mod error;
mod examples;
mod few_shot;
mod head_files;
mod lbfgs;
mod logistic;
mod metrics;
mod numpy_random;
mod objective;
mod pairs;
mod per_class;
mod predictions;
mod training;

pub use calibration::{BINS, CalibrationBin};
pub use card::card_of_classifier;
pub use classifier::Classifier;
pub use error::ClassifyError;
pub use examples::Examples;
pub use few_shot::{FewShotOptions, PairCounts};
pub use head_files::{ClassifierFile, HEAD_FILE, SETTINGS_FILE};
pub use logistic::{Fit, LogisticHead, LogisticOptions};
pub use metrics::{ClassificationReport, evaluate};
pub use pairs::{Pair, PairOptions, SamplingStrategy, UnknownStrategy, contrastive_pairs};
pub use per_class::{ClassReport, Confusion};
pub use predictions::Predictions;
pub use training::{Listeners, Method, Trained, Training, train};
