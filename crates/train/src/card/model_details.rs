//! Views of the head of a card and of its section "Model Details".

use minijinja::{Value, context};

use super::{BaseModel, CardData, Compat, front_matter::front_matter, markdown::inline};

/// Front matter, heading and first sentence.
pub(super) fn head(card: &CardData) -> Option<Value> {
    let dataset = card
        .training
        .as_ref()
        .and_then(|training| training.dataset.name.as_deref());
    Some(context! {
        front_matter => front_matter(card),
        name => inline(&card.name()),
        base => card.base_model.as_ref().map(link),
        dataset => dataset.map(inline),
        trained => card.training.is_some(),
        dim => card.architecture.dim,
        widths => card.training.as_ref().map(|training| training.loss.widths()),
    })
}

/// Description, sources, modules.
pub(super) fn details(card: &CardData) -> Option<Value> {
    let training = card.training.as_ref();
    Some(context! {
        base => card.base_model.as_ref().map(link),
        base_revision => card.base_model.as_ref().and_then(|base| base.revision.as_deref()).map(inline),
        max_seq_length => card.architecture.longest("inf"),
        dim => card.architecture.dim,
        dim_unit => match card.compat { Compat::Current => "dimensions", Compat::V3_0 => "tokens" },
        similarity => card.architecture.similarity_name(),
        modality => card.compat == Compat::Current,
        parameters => card.architecture.parameters.map(|n| super::python::thousands(n as usize)),
        dataset => training.and_then(|training| training.dataset.name.as_deref()).map(inline),
        language => (!card.language.is_empty()).then(|| inline(&card.language.join(", "))),
        license => card.license.as_deref().map(inline),
        architecture => card.architecture.describe(card.compat),
    })
}

/// A link for a hub name, code for a folder.
fn link(base: &BaseModel) -> String {
    let name = inline(&base.name);
    if base.on_hub {
        format!("[{name}](https://huggingface.co/{name})")
    } else {
        format!("`{name}`")
    }
}
