//! View of the section "Usage": the same few texts in Python, on the command line and in Rust.

use minijinja::{Value, context};

use super::{CardData, WidgetExample, python};

/// What a snippet calls a model that has no hub name.
const FOLDER: &str = "path/to/this/folder";

pub(super) fn usage(card: &CardData) -> Option<Value> {
    let known = card.widget().first();
    let example = known.cloned().unwrap_or_else(neutral_example);
    let (source, sentences) = (&example.source_sentence, &example.sentences);
    let similarities = card
        .training
        .as_ref()
        .and_then(|training| training.usage_similarities.as_deref());
    let texts = || std::iter::once(source).chain(sentences);
    Some(context! {
        model_python => python::str_repr(card.model_id.as_deref().unwrap_or(FOLDER)),
        model_shell => shell_quoted(card.model_id.as_deref().unwrap_or(FOLDER)),
        model_rust => format!("{:?}", card.model_id.as_deref().unwrap_or(FOLDER)),
        retrieval => card.is_retrieval(),
        python_texts => texts().map(|text| python::str_repr(text)).collect::<Vec<_>>(),
        rust_texts => texts().map(|text| format!("{text:?}")).collect::<Vec<_>>(),
        shell_texts => texts().map(|text| shell_quoted(text)).collect::<Vec<_>>(),
        count => sentences.len(),
        dim => card.architecture.dim,
        short_dim => short_width(card),
        similarities => similarities.filter(|s| known.is_some() && s.len() == sentences.len()).map(tensor),
    })
}

/// For a model whose data is not known.
fn neutral_example() -> WidgetExample {
    WidgetExample {
        source_sentence: "Which planet has the brightest rings?".to_owned(),
        sentences: vec![
            "The rings of Saturn are made of ice and shine in sunlight.".to_owned(),
            "Yeast makes bread rise.".to_owned(),
        ],
    }
}

/// A width below the full one that the model was trained for.
fn short_width(card: &CardData) -> Option<usize> {
    let widths = card
        .training
        .as_ref()
        .map(|training| training.loss.widths())?;
    widths
        .into_iter()
        .filter(|&width| width < card.architecture.dim)
        .max()
}

/// As torch prints a `[1, n]` tensor.
fn tensor(similarities: &[f32]) -> String {
    let cells: Vec<String> = similarities.iter().map(|s| format!("{s:.4}")).collect();
    format!("tensor([[{}]])", cells.join(", "))
}

/// One shell word on one line.
fn shell_quoted(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!("'{}'", line.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_words_stay_one_word() {
        assert_eq!(shell_quoted("it's $HOME\n`x`"), r"'it'\''s $HOME `x`'");
    }
}
