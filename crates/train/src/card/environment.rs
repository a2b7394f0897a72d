//! View of where and how long a run went, and of what it takes to repeat it.

use minijinja::{Value, context};

use super::{CardData, Hyperparameter, Training, markdown::inline};

/// `None` for a model that was not trained here.
pub(super) fn environment(card: &CardData) -> Option<Value> {
    let training = card.training.as_ref()?;
    let hardware = &training.hardware;
    let times = training.times;
    Some(context! {
        cpu => hardware.cpu.as_deref().map(inline),
        cores => hardware.cores,
        threads => hardware.threads,
        memory => hardware.memory_gb().map(|gb| format!("{gb:.2}")),
        compute => inline(&hardware.compute),
        training_time => duration(times.training),
        evaluation_time => (times.evaluation > 0.0).then(|| duration(times.evaluation)),
        total_time => duration(times.training + times.evaluation),
        versions => training.versions.iter().map(|(n, v)| context! { name => inline(n), version => inline(v) }).collect::<Vec<_>>(),
        seeds => training.seeds.iter().map(|(name, seed)| context! { name => inline(name), seed => seed }).collect::<Vec<_>>(),
        hashes => hashes(card, training),
        config => configuration(&training.hyperparameters),
    })
}

/// SHA-256 of everything that went in and of the weights that came out.
fn hashes(card: &CardData, training: &Training) -> Vec<Value> {
    let base = card
        .base_model
        .as_ref()
        .and_then(|base| base.weights_sha256.as_deref());
    let eval = training
        .eval_dataset
        .as_ref()
        .map(|data| data.fingerprint.as_str());
    [
        ("weights of the base model", base),
        ("training data", Some(training.dataset.fingerprint.as_str())),
        ("evaluation data", eval),
        ("weights of this model", training.weights_sha256.as_deref()),
    ]
    .into_iter()
    .filter_map(|(what, hash)| Some(context! { what => what, hash => hash? }))
    .collect()
}

/// Seconds in the unit a reader would choose, one decimal, as upstream's card does.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} seconds"),
        s if s < 3600.0 => format!("{:.1} minutes", s / 60.0),
        s if s < 86400.0 => format!("{:.1} hours", s / 3600.0),
        s => format!("{:.1} days", s / 86400.0),
    }
}

/// What was set, as a configuration file that sets it again.
fn configuration(hyperparameters: &[Hyperparameter]) -> String {
    let set = hyperparameters.iter().filter(|h| !h.is_default);
    set.filter_map(|h| Some(format!("{} = {}\n", h.name, toml_value(&h.value)?)))
        .collect()
}

/// A JSON value in TOML, which has no null.
fn toml_value(value: &serde_json::Value) -> Option<String> {
    use serde_json::Value as Json;
    Some(match value {
        Json::Null => return None,
        Json::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => matryo_eval::python_float(float),
            None => number.to_string(),
        },
        Json::Array(items) => format!(
            "[{}]",
            items
                .iter()
                .filter_map(toml_value)
                .collect::<Vec<_>>()
                .join(", ")
        ),
        Json::Object(map) => {
            let entries = map
                .iter()
                .filter_map(|(k, v)| Some(format!("{} = {}", toml_string(k), toml_value(v)?)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Json::String(text) => toml_string(text),
        Json::Bool(flag) => flag.to_string(),
    })
}

/// A basic string. JSON escapes what TOML wants escaped, except DEL.
fn toml_string(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_choose_their_unit() {
        let cases = [
            (8.04, "8.0 seconds"),
            (480.0, "8.0 minutes"),
            (5400.0, "1.5 hours"),
            (129_600.0, "1.5 days"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn the_configuration_reads_back() {
        let set = [
            ("learning_rate", json!(2e-5)),
            ("model", json!("a \"b\"\n\u{7f}")),
            ("matryoshka_dims", json!([384, 256])),
            ("prompts", json!({"the query": "q: "})),
            ("load_best_model_at_end", json!(true)),
        ];
        let mut all: Vec<Hyperparameter> = set
            .iter()
            .map(|(name, value)| Hyperparameter {
                name: (*name).to_owned(),
                value: value.clone(),
                is_default: false,
            })
            .collect();
        all.push(Hyperparameter {
            name: "max_steps".into(),
            value: json!(-1),
            is_default: true,
        });
        all.push(Hyperparameter {
            name: "data_seed".into(),
            value: json!(null),
            is_default: false,
        });
        let read: serde_json::Value = toml::from_str(&configuration(&all)).expect("valid TOML");
        assert_eq!(
            read,
            serde_json::Value::Object(set.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
        );
    }
}
