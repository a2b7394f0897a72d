//! View of the datasets and the loss in section "Training Details".

use minijinja::{Value, context};

use super::{
    CardData, EvalDatasetCard, LossCard, TruncatedShare,
    evaluation::json_block,
    markdown::{indented, inline},
    python::thousands,
};

/// `None` for a model that was not trained here.
pub(super) fn training_details(card: &CardData) -> Option<Value> {
    let training = card.training.as_ref()?;
    let data = &training.dataset;
    let outer = training
        .loss
        .names
        .first()
        .map(String::as_str)
        .unwrap_or_default();
    Some(context! {
        name => data.name.as_deref().map(inline),
        size => thousands(data.size),
        columns => data.column_list(),
        statistics_rows => data.statistics_rows,
        statistics => indented(&data.statistics_table(card.compat)),
        samples => indented(&data.samples_table()),
        fingerprint => &data.fingerprint,
        truncated => data.truncated.map(truncated),
        loss => outer,
        loss_anchor => outer.to_lowercase(),
        loss_config => json_block(&training.loss.config),
        eval => training.eval_dataset.as_ref().map(evaluation_data),
    })
}

fn evaluation_data(data: &EvalDatasetCard) -> Value {
    context! {
        name => inline(&data.name),
        queries => thousands(data.queries),
        documents => thousands(data.documents),
        relevant => thousands(data.relevant),
        fingerprint => &data.fingerprint,
        truncated => data.truncated.map(truncated),
    }
}

fn truncated(share: TruncatedShare) -> String {
    format!(
        "{} of {} ({})",
        thousands(share.truncated),
        thousands(share.texts),
        share.percent()
    )
}

impl LossCard {
    /// Widths that the loss trained, in its own order; empty unless it is a Matryoshka loss.
    pub(super) fn widths(&self) -> Vec<usize> {
        let dims = self
            .config
            .get("matryoshka_dims")
            .and_then(|dims| dims.as_array());
        dims.into_iter()
            .flatten()
            .filter_map(|dim| usize::try_from(dim.as_u64()?).ok())
            .collect()
    }
}
