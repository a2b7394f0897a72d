//! View of the section "Bias, Risks and Limitations": what the numbers of this very run do not tell.

use matryo_model::limit;
use minijinja::{Value, context};

use super::{
    CardData, EvalDatasetCard, Training, TruncatedShare,
    markdown::inline,
    python::{rounded, thousands},
};

/// From this many queries on, the step of one query (0.1 points) is finer than what the tables are read for.
const MANY_QUERIES: usize = 1000;

/// `None` if the run gives no reason for doubt.
pub(super) fn caveats(card: &CardData) -> Option<Value> {
    let training = card.training.as_ref()?;
    let limit = match limit(card.architecture.max_seq_length) {
        Some(tokens) => format!("have more than {tokens} tokens"),
        // Of a model with routes, of which one knows no limit.
        None => "are longer than what their route reads".to_owned(),
    };
    let items: Vec<String> = [
        evaluation_size(training.eval_dataset.as_ref()),
        other_step(training),
        chosen_on_evaluation(training),
        truncation("training", training.dataset.truncated, &limit),
        truncation(
            "evaluation",
            training
                .eval_dataset
                .as_ref()
                .and_then(|data| data.truncated),
            &limit,
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!items.is_empty()).then(|| context! { items => items })
}

fn evaluation_size(data: Option<&EvalDatasetCard>) -> Option<String> {
    let Some(data) = data else {
        return Some(
            "No evaluation data was given, so nothing here says how good the model is.".to_owned(),
        );
    };
    let queries = data.queries;
    (1..MANY_QUERIES).contains(&queries).then(|| {
        format!(
            "The evaluation asks {queries} {}: one answer more or less moves accuracy@k by 1/{queries}, or {} points of \
             100. Do not read anything into smaller differences.",
            if queries == 1 { "query" } else { "queries" },
            rounded(100.0 / queries as f64, 2)
        )
    })
}

fn other_step(training: &Training) -> Option<String> {
    let measured = training.saved_evaluation()?.step;
    let saved = training.saved_step;
    (measured != saved).then(|| {
        format!("The metrics were measured at step {measured}, but the weights here are those of step {saved}.")
    })
}

fn chosen_on_evaluation(training: &Training) -> Option<String> {
    let best = training.best.as_ref()?;
    Some(format!(
        "Among the checkpoints, step {} was kept because its `{}` was the {} ({}) on the same evaluation data as above, \
         so the tables flatter it a little.",
        training.saved_step,
        inline(&best.metric),
        if best.greater_is_better {
            "highest"
        } else {
            "lowest"
        },
        rounded(best.value, 4)
    ))
}

fn truncation(data: &str, share: Option<TruncatedShare>, limit: &str) -> Option<String> {
    let share = share.filter(|share| share.truncated > 0)?;
    Some(format!(
        "{} of {} {data} texts ({}) {limit}; the model never sees what follows.",
        thousands(share.truncated),
        thousands(share.texts),
        share.percent()
    ))
}
