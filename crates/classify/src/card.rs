//! What the model card says of the head.

use std::{fs, io::Write, path::Path};

use matryo_model::{ModelError, write_file};

use crate::ClassifierFile;

const CARD: &str = "README.md";
/// Labels named in the card.
const SHOWN: usize = 10;

/// Adds a section to the card in `folder`, or makes a card of it.
pub(crate) fn append(folder: &Path, settings: &ClassifierFile) -> Result<(), ModelError> {
    let path = folder.join(CARD);
    // Whatever cannot be read as text is no card to add to.
    let card = fs::read_to_string(&path).unwrap_or_default();
    let gap = if card.is_empty() { "" } else { "\n" };
    write_file(&path, |file| write!(file, "{card}{gap}{}", section(settings)))
}

fn section(settings: &ClassifierFile) -> String {
    let of = |key: &str| settings.training.get(key).map(ToString::to_string).unwrap_or_default().replace('"', "");
    let labels: Vec<String> =
        settings.labels.iter().take(SHOWN).map(|label| format!("`{}`", label.replace('`', "'"))).collect();
    let more = settings.labels.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "## Classification\n\n\
         This folder holds a classifier besides the model: a logistic regression on its embeddings (`classifier.json`,\n\
         `classifier.safetensors`), trained on {} examples (method: {}).\n\n\
         {} classes: {}{more}.\n\n\
         ```sh\nmatryo classify predict FOLDER \"a text\"\n```\n",
        of("examples"),
        of("method"),
        settings.labels.len(),
        labels.join(", "),
    )
}
