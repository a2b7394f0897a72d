//! Every loss by name.

use matryo_base::nearest;
use serde_json::Value;

use crate::{Loss, LossError, cosine_similarity, matryoshka, multiple_negatives_ranking};

/// One loss that can be asked for by name.
pub struct Entry {
    /// Upstream's class name.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// Makes it from a table of parameters with upstream's names; `null` or an empty table means the defaults.
    pub build: fn(&Value) -> Result<Box<dyn Loss>, LossError>,
}

/// Every loss there is.
pub const LOSSES: &[Entry] = &[
    multiple_negatives_ranking::ENTRY,
    matryoshka::ENTRY,
    cosine_similarity::ENTRY,
];

/// The loss called `name` with `parameters`, a table keyed by upstream's parameter names.
/// A loss around another takes it as `"loss": "Name"` or `"loss": {"Name": {parameters}}`.
pub fn build(name: &str, parameters: &Value) -> Result<Box<dyn Loss>, LossError> {
    match LOSSES.iter().find(|entry| entry.name == name) {
        Some(entry) => (entry.build)(parameters),
        None => {
            let names = LOSSES.iter().map(|entry| entry.name);
            Err(LossError::UnknownLoss {
                name: name.to_owned(),
                similar: nearest(name, names),
            })
        }
    }
}
