//! What the model card says of the head.

use std::{fs, io::Write, path::Path};

use matryo_base::{FileError, write_file};

use crate::{ClassifierFile, ClassifyError, SETTINGS_FILE, head_files};

const CARD: &str = "README.md";

/// How the section begins.
const HEADING: &str = "## Classification\n\nThis folder holds a classifier besides the model";
/// Labels named in the card.
const SHOWN: usize = 10;

/// Puts a section on the head into the card in `folder`, in place of one that is there, or makes a card of it.
pub(crate) fn write(folder: &Path, settings: &ClassifierFile) -> Result<(), FileError> {
    let path = folder.join(CARD);
    // Whatever cannot be read as text is no card to add to.
    let card = fs::read_to_string(&path).unwrap_or_default();
    write_file(&path, |file| {
        file.write_all(extended(&card, settings).as_bytes())
    })
}

/// `card` with a section on the classifier that lies in `folder`; as it is where none lies there.
///
/// # Errors
/// Those of a classifier that cannot be read.
pub fn card_of_classifier(folder: &Path, card: &str) -> Result<String, ClassifyError> {
    if !folder.join(SETTINGS_FILE).exists() {
        return Ok(card.to_owned());
    }
    Ok(extended(card, &head_files::read(folder)?.0))
}

fn extended(card: &str, settings: &ClassifierFile) -> String {
    let card = without_section(card);
    let gap = if card.is_empty() { "" } else { "\n\n" };
    format!("{}{gap}{}", card.trim_end(), section(settings))
}

/// The card of a model that has a head already, without what it says of that.
fn without_section(card: &str) -> String {
    let Some((before, rest)) = card.split_once(HEADING) else {
        return card.to_owned();
    };
    let after = rest.find("\n## ").map_or("", |start| &rest[start..]);
    let gap = if after.is_empty() { "" } else { "\n" };
    format!("{}{gap}{after}", before.trim_end())
}

fn section(settings: &ClassifierFile) -> String {
    let of = |key: &str| {
        settings
            .training
            .get(key)
            .map(ToString::to_string)
            .unwrap_or_default()
            .replace('"', "")
    };
    let labels: Vec<String> = settings
        .labels
        .iter()
        .take(SHOWN)
        .map(|label| format!("`{}`", label.replace('`', "'")))
        .collect();
    let more = settings.labels.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!(
        "{HEADING}: a logistic regression on its embeddings (`classifier.json`,\n\
         `classifier.safetensors`), trained on {} examples (method: {}).\n\n\
         {} classes: {}{more}.\n\n\
         ```sh\nmatryo classify predict FOLDER \"a text\"\n```\n",
        of("examples"),
        of("method"),
        settings.labels.len(),
        labels.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn settings(examples: usize) -> ClassifierFile {
        let training = Map::from_iter([
            ("examples".to_owned(), json!(examples)),
            ("method".to_owned(), json!("probe")),
        ]);
        ClassifierFile::new(vec!["a".to_owned(), "b`c".to_owned()], 2, false, training)
    }

    #[test]
    fn a_section_takes_the_place_of_another() {
        let once = extended("# Model\n\ntext\n", &settings(16));
        assert!(
            once.starts_with("# Model\n\ntext\n\n## Classification\n\nThis folder"),
            "{once}"
        );
        assert!(
            once.contains("trained on 16 examples (method: probe)")
                && once.contains("2 classes: `a`, `b'c`.")
        );
        let twice = extended(&format!("{once}\n## More\n"), &settings(99));
        assert!(
            twice.starts_with("# Model\n\ntext\n\n## More\n\n## Classification\n\n"),
            "{twice}"
        );
        assert_eq!(
            (
                twice.matches("## Classification").count(),
                twice.matches("16 examples").count()
            ),
            (1, 0)
        );
        assert!(twice.contains("99 examples"));
        assert!(extended("", &settings(3)).starts_with("## Classification"));
    }
}
