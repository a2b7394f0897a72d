//! Which row of a table stands for a token, so that the mean of rows stands for a text? A static model made from any encoder, as
//! model2vec 0.10 distils (<https://github.com/MinishLab/model2vec>).
//!
//! ```text
//! tokenizer without special tokens ─► each token alone through the encoder ─► mean of its hidden states
//!                                                                                      │
//! row of the table ◄─ factor by the token's rank (SIF, Arora et al. 2017) ◄─ main components (PCA)
//! ```
//! Tokens of most vocabularies stand in the order of their frequency, which the factor takes for Zipf's law.

mod embed;
mod error;
mod findable;
mod merges;
mod pca;
mod save;
mod vocabulary;

use matryo_base::Progress;
use matryo_model::SentenceEncoder;
use matryo_ops::Mat;
use serde_json::Value;

pub use error::DistillError;
use vocabulary::Vocabulary;

/// How a static model is made; the defaults are those of model2vec.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Main components that are kept, at most as many as the encoder's hidden states are wide; `None` leaves those as they are.
    pub dims: Option<usize>,
    /// Strength of the factor by rank, at least 1e-12 and below 1: the larger, the less common tokens lose. `None` for no factor.
    pub sif: Option<f64>,
    /// Words that become tokens besides those of the tokenizer. A word that the tokenizer would split is found in texts as a whole.
    pub words: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dims: Some(256),
            sif: Some(1e-4),
            words: Vec::new(),
        }
    }
}

/// A static model that is not saved yet.
#[derive(Clone, Debug)]
pub struct StaticModel {
    /// A row for each token, `[tokens, dims]`.
    pub table: Mat,
    /// tokenizer.json.
    pub tokenizer: Value,
    /// What was done otherwise than asked, for the user to read.
    pub notes: Vec<String>,
    /// Name of the model it was made from, for its card: that of the folder, unless the caller knows a better one.
    pub base: String,
    options: Options,
}

/// Makes a static model from an encoder. Progress counts tokens.
///
/// # Errors
/// A model without token embeddings, a tokenizer that cannot be changed, options out of range.
pub fn distill(
    model: &SentenceEncoder,
    options: &Options,
    progress: Progress<'_>,
) -> Result<StaticModel, DistillError> {
    check(options)?;
    let vocabulary = Vocabulary::of(model, &options.words)?;
    let mut notes = vocabulary.notes;
    let mut table = embed::tokens(model, &vocabulary.tokens, progress)?;
    if let Some(dims) = options.dims {
        table = main_components(table, dims, &mut notes);
    }
    if let Some(sif) = options.sif {
        weigh(&mut table, sif);
    }
    let folder = &model.folder().path;
    let base = folder.file_name().unwrap_or(folder.as_os_str());
    Ok(StaticModel {
        table,
        tokenizer: vocabulary.tokenizer,
        notes,
        options: options.clone(),
        base: base.to_string_lossy().into_owned(),
    })
}

/// Below it the rows of common tokens would be 0 in single precision.
const LEAST_SIF: f64 = 1e-12;

fn check(options: &Options) -> Result<(), DistillError> {
    if options.dims == Some(0) {
        return Err(DistillError::Dims);
    }
    match options.sif {
        Some(found) if !(LEAST_SIF..1.0).contains(&found) => Err(DistillError::Sif { found }),
        _ => Ok(()),
    }
}

/// The main components of the rows, as many as there can be.
fn main_components(table: Mat, dims: usize, notes: &mut Vec<String>) -> Mat {
    let (tokens, width) = (table.rows(), table.cols());
    let kept = dims.min(width);
    if kept < dims {
        notes.push(format!(
            "hidden states are {width} wide: {kept} main components instead of {dims}"
        ));
    }
    if kept >= tokens {
        notes.push(format!(
            "{tokens} tokens have no {kept} main components: hidden states are left as they are"
        ));
        return table;
    }
    pca::scores(table.view(), kept)
}

/// Multiplies each row by `sif / (sif + p)`, with `p` the share of its rank by Zipf's law.
fn weigh(table: &mut Mat, sif: f64) {
    let inverse_rank = |token: usize| 1.0 / (token as f64 + 2.0);
    let sum: f64 = (0..table.rows()).map(inverse_rank).sum();
    for token in 0..table.rows() {
        let factor = sif / (sif + inverse_rank(token) / sum);
        let row = table.row_mut(token).iter_mut();
        row.for_each(|value| *value = (f64::from(*value) * factor) as f32);
    }
}
