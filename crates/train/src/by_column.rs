//! Settings by column, against the columns of the data and the routes of the model.

use matryo_data::{Dataset, Rows};
use matryo_model::{ExpectedPrompts, Role, SentenceEncoder, Trainable};

use crate::{TrainConfig, TrainError, config::Prompts};

/// Rows that are looked at for what their texts begin with.
const ROWS_SEEN: usize = 10_000;

/// Settings by column name columns that the data has.
pub(crate) fn check_columns(config: &TrainConfig, data: &Dataset) -> Result<(), TrainError> {
    let prompts = config.prompts.iter().flat_map(Prompts::columns);
    let routes = config.router_mapping.iter().flatten();
    let prompts = prompts.map(|column| ("prompts", column));
    let named = prompts.chain(routes.map(|(column, _)| ("router_mapping", &**column)));
    for (key, column) in named {
        if !data.columns().iter().any(|known| known == column) {
            return Err(TrainError::NamedColumn {
                key,
                column: column.to_owned(),
                columns: data.columns().to_vec(),
            });
        }
    }
    Ok(())
}

/// As upstream, a model with routes is trained only with a mapping, though columns without a route may take the default one.
pub(crate) fn check_routes(
    config: &TrainConfig,
    data: &Dataset,
    model: &SentenceEncoder<Trainable>,
) -> Result<(), TrainError> {
    let mapped = config
        .router_mapping
        .as_ref()
        .is_some_and(|m| !m.is_empty());
    match &model.folder().routes {
        Some(routes) if !mapped => Err(TrainError::NoRouterMapping {
            routes: routes.names.clone(),
            columns: data.columns().to_vec(),
        }),
        _ => Ok(()),
    }
}

/// A sentence about prompts that the model has, or that its card asks for, if neither the settings nor the texts have them. As
/// upstream, a training puts before texts only what its own settings say, not even the model's default prompt.
pub(crate) fn missing_prompts(
    config: &TrainConfig,
    data: &dyn Rows,
    expected: Option<&ExpectedPrompts>,
) -> Option<String> {
    let expected = expected.filter(|_| config.prompts.is_none())?;
    let rows = 0..data.len().min(ROWS_SEEN);
    let columns = data.columns();
    let texts: Vec<&str> = rows
        .flat_map(|row| (0..columns.len()).map(move |column| data.text(row, column)))
        .collect();
    if !expected.are_missing(Role::Plain, &texts) {
        return None;
    }
    let each: Vec<String> = columns.iter().map(|name| format!("{name} = ...")).collect();
    Some(format!(
        "{}, and a training puts none before texts but its own `prompts`: set prompts = {{ {} }}, or prompts = \"\" if none \
         is wanted",
        expected.wish(),
        each.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(flags: &[(&str, &str)]) -> TrainConfig {
        let base = [("model", "m"), ("train_data", "t"), ("output_dir", "o")];
        let flags = base.iter().chain(flags);
        let flags: Vec<_> = flags
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        TrainConfig::load(None, &flags).unwrap()
    }

    fn data(anchors: [&str; 2]) -> Dataset {
        let names = ["anchor", "positive"].map(str::to_owned).to_vec();
        let positives = ["passage: c", "passage: d"].map(str::to_owned).to_vec();
        Dataset::from_columns(names, vec![anchors.map(str::to_owned).to_vec(), positives])
    }

    /// The tiny model in a folder whose name is that of a model with a card.
    fn e5() -> ExpectedPrompts {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("e5-small-v2");
        matryo_testkit::copy_folder(&matryo_testkit::tiny_bert(), &folder);
        let folder = matryo_model::ModelFolder::open(&folder).unwrap();
        folder.expected_prompts().unwrap()
    }

    #[test]
    fn prompts_are_missed_unless_settings_or_texts_have_them() {
        let e5 = e5();
        let note = |flags: &[(&str, &str)], anchors| {
            missing_prompts(&config(flags), &data(anchors), Some(&e5))
        };
        let without = note(&[], ["a", "b"]).unwrap();
        assert!(without.starts_with("the card of e5-small-v2 asks for \"query: \""));
        assert!(
            without.contains("prompts = { anchor = ..., positive = ... }"),
            "{without}"
        );
        assert!(note(&[], ["query: a", "b"]).is_some());
        assert_eq!(note(&[], ["query: a", "query: b"]), None);
        assert_eq!(
            note(&[("prompts", "{ anchor = \"query: \" }")], ["a", "b"]),
            None
        );
        assert_eq!(note(&[("prompts", "")], ["a", "b"]), None);
        assert_eq!(missing_prompts(&config(&[]), &data(["a", "b"]), None), None);
    }
}
