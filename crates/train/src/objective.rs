//! The loss of a run, from its settings.

use matryo_data::{Dataset, Rows};
use matryo_losses::Loss;
use serde_json::{Map, Value, json};

use crate::{TrainConfig, TrainError};

const MATRYOSHKA: &str = "MatryoshkaLoss";
/// What MatryoshkaLoss is put around when only it is named.
const DEFAULT_INNER: &str = "MultipleNegativesRankingLoss";

/// The loss that the settings describe.
pub(crate) fn build(config: &TrainConfig) -> Result<Box<dyn Loss>, TrainError> {
    let name = if config.loss == MATRYOSHKA {
        DEFAULT_INNER
    } else {
        &config.loss
    };
    let parameters = given(config, &["scale", "similarity_fct"]);
    if config.matryoshka_dims.is_none() {
        return Ok(matryo_losses::build(name, &parameters)?);
    }
    let mut around = given(
        config,
        &["matryoshka_dims", "matryoshka_weights", "n_dims_per_step"],
    );
    around["loss"] = json!({ name: parameters });
    Ok(matryo_losses::build(MATRYOSHKA, &around)?)
}

/// The settings among `keys` that differ from their defaults: a loss need not have a parameter that nobody set.
fn given(config: &TrainConfig, keys: &[&str]) -> Value {
    let changed = config
        .settings()
        .into_iter()
        .filter(|(key, _, is_default)| keys.contains(key) && !is_default);
    Value::Object(
        changed
            .map(|(key, value, _)| (key.to_owned(), value))
            .collect::<Map<_, _>>(),
    )
}

/// Whether the loss can work on the columns of `data` and on embeddings of `dim` values.
pub(crate) fn check(loss: &dyn Loss, data: &Dataset, dim: usize) -> Result<(), TrainError> {
    let path = || data.path().map(ToOwned::to_owned).unwrap_or_default();
    let (needed, columns) = (loss.needs().columns, data.columns());
    if loss.needs().labels && data.label_column().is_none() {
        return Err(TrainError::NoLabels {
            path: path(),
            loss: loss.name(),
            found: columns.to_vec(),
        });
    }
    if !needed.contains(&columns.len()) {
        return Err(TrainError::ColumnCount {
            path: path(),
            loss: loss.name(),
            found: columns.to_vec(),
            expected: in_words(*needed.start(), *needed.end()),
        });
    }
    Ok(loss.check(dim)?)
}

/// Upstream passes labels over in silence where a loss has no use for them.
pub(crate) fn unused_labels(loss: &dyn Loss, data: &Dataset) -> Option<String> {
    let column = data.label_column().filter(|_| !loss.needs().labels)?;
    Some(format!(
        "column `{column}` holds labels, which {} does not use",
        loss.name()
    ))
}

fn in_words(least: usize, most: usize) -> String {
    match most {
        usize::MAX => format!("{least} or more"),
        _ if least == most => least.to_string(),
        _ => format!("{least} to {most}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(flags: &[(&str, &str)]) -> TrainConfig {
        let base = [("model", "m"), ("train_data", "t"), ("output_dir", "o")];
        let flags: Vec<_> = base
            .iter()
            .chain(flags)
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        TrainConfig::load(None, &flags).unwrap()
    }

    #[test]
    fn dims_wrap_the_loss() {
        let loss = build(&config(&[("matryoshka_dims", "16,32"), ("scale", "10")])).unwrap();
        assert_eq!(loss.names(), [MATRYOSHKA, DEFAULT_INNER]);
        assert_eq!(loss.config()["matryoshka_dims"], json!([32, 16]));
        let named = build(&config(&[("loss", MATRYOSHKA), ("matryoshka_dims", "8")])).unwrap();
        assert_eq!(named.names(), [MATRYOSHKA, DEFAULT_INNER]);
        assert_eq!(
            build(&config(&[("scale", "10")])).unwrap().config()["scale"],
            json!(10.0)
        );
        assert!(matches!(
            build(&config(&[("loss", "TripletLos")])),
            Err(TrainError::Loss(_))
        ));
    }
}
