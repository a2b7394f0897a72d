//! The YAML at the head of a card, which the hub reads.

use super::{CardData, Compat, ReportCard, Training, WidgetExample, python, yaml::Yaml};

/// The front matter without its `---` fences; keys in upstream's order.
pub(super) fn front_matter(card: &CardData) -> String {
    let reports = card.reports();
    let mut entries = Vec::new();
    push_list(
        &mut entries,
        "language",
        card.language.iter().map(Yaml::text).collect(),
    );
    entries.extend(
        card.license
            .as_ref()
            .map(|license| ("license", Yaml::text(license))),
    );
    push_list(
        &mut entries,
        "tags",
        tags(card).into_iter().map(Yaml::Text).collect(),
    );
    entries.extend(hub_base(card).map(|name| ("base_model", Yaml::text(name))));
    push_list(
        &mut entries,
        "widget",
        card.widget().iter().map(widget).collect(),
    );
    entries.push(("pipeline_tag", Yaml::text("sentence-similarity")));
    entries.push(("library_name", Yaml::text("sentence-transformers")));
    push_list(
        &mut entries,
        "metrics",
        metric_keys(reports).into_iter().map(Yaml::Text).collect(),
    );
    if !reports.is_empty() {
        entries.push((
            "model-index",
            Yaml::List(vec![model_index(&card.name(), reports)]),
        ));
    }
    Yaml::Map(entries).emit()
}

/// An empty list would read as null, and the hub refuses that.
fn push_list(entries: &mut Vec<(&'static str, Yaml)>, key: &'static str, items: Vec<Yaml>) {
    if !items.is_empty() {
        entries.push((key, Yaml::List(items)));
    }
}

/// A folder's name is no hub name, and a wrong link is worse than none.
fn hub_base(card: &CardData) -> Option<&str> {
    card.base_model
        .as_ref()
        .filter(|base| base.on_hub)
        .map(|base| base.name.as_str())
}

fn tags(card: &CardData) -> Vec<String> {
    let mut tags = vec![
        "sentence-transformers",
        "sentence-similarity",
        "feature-extraction",
    ];
    if card.compat == Compat::Current {
        tags.push("dense");
    }
    let mut tags: Vec<String> = tags.into_iter().map(str::to_owned).collect();
    tags.extend(card.training.iter().flat_map(training_tags));
    tags
}

fn training_tags(training: &Training) -> Vec<String> {
    let mut tags = vec![
        "generated_from_trainer".to_owned(),
        format!("dataset_size:{}", training.dataset.size),
    ];
    tags.extend(
        training
            .loss
            .names
            .iter()
            .map(|name| format!("loss:{name}")),
    );
    tags
}

fn widget(example: &WidgetExample) -> Yaml {
    Yaml::Map(vec![
        ("source_sentence", Yaml::text(&example.source_sentence)),
        (
            "sentences",
            Yaml::List(example.sentences.iter().map(Yaml::text).collect()),
        ),
    ])
}

/// Every metric key once, in order of appearance.
fn metric_keys(reports: &[ReportCard]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for (key, _) in reports.iter().flat_map(|report| &report.metrics) {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    keys
}

fn model_index(name: &str, reports: &[ReportCard]) -> Yaml {
    Yaml::Map(vec![
        ("name", Yaml::text(name)),
        ("results", Yaml::List(reports.iter().map(result).collect())),
    ])
}

fn result(report: &ReportCard) -> Yaml {
    let (dataset, dataset_type) = match report.name.as_str() {
        "" => ("Unknown".to_owned(), "unknown".to_owned()),
        name => (name.replace(['_', '-'], " "), name.to_owned()),
    };
    Yaml::Map(vec![
        (
            "task",
            named(
                report.task.to_lowercase().replace(' ', "-"),
                "type",
                report.task.clone(),
            ),
        ),
        (
            "dataset",
            Yaml::Map(vec![
                ("name", Yaml::Text(dataset)),
                ("type", Yaml::Text(dataset_type)),
            ]),
        ),
        (
            "metrics",
            Yaml::List(
                report
                    .metrics
                    .iter()
                    .map(|(key, value)| metric(key, *value))
                    .collect(),
            ),
        ),
    ])
}

fn named(value: String, key: &'static str, name: String) -> Yaml {
    Yaml::Map(vec![(key, Yaml::Text(value)), ("name", Yaml::Text(name))])
}

fn metric(key: &str, value: f64) -> Yaml {
    Yaml::Map(vec![
        ("type", Yaml::text(key)),
        ("value", Yaml::Number(value)),
        ("name", Yaml::Text(python::title(&key.replace('_', " ")))),
    ])
}
