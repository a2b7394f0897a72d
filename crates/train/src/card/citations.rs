//! View of the section "Citation": the papers behind model and losses.

use minijinja::{Value, context};

use super::{CardData, LossCard};

/// Reimers & Gurevych 2019, arXiv:1908.10084.
const SENTENCE_BERT: &str = r#"@inproceedings{reimers-2019-sentence-bert,
    title = "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
    author = "Reimers, Nils and Gurevych, Iryna",
    booktitle = "Proceedings of the 2019 Conference on Empirical Methods in Natural Language Processing",
    month = "11",
    year = "2019",
    publisher = "Association for Computational Linguistics",
    url = "https://arxiv.org/abs/1908.10084",
}"#;

pub(super) fn citations(card: &CardData) -> Option<Value> {
    let mut entries: Vec<(String, &str)> =
        vec![("Sentence Transformers".to_owned(), SENTENCE_BERT)];
    for (heading, entry) in card
        .training
        .iter()
        .flat_map(|training| unique(&training.loss))
    {
        entries.push((heading, entry));
    }
    let view =
        |(heading, entry): (String, &str)| context! { heading => heading, entry => entry.trim() };
    Some(context! { entries => entries.into_iter().map(view).collect::<Vec<_>>() })
}

/// One entry a paper, its losses joined in the heading.
fn unique(loss: &LossCard) -> Vec<(String, &str)> {
    let mut papers: Vec<(Vec<&str>, &str)> = Vec::new();
    for (heading, entry) in &loss.citations {
        match papers.iter_mut().find(|(_, known)| known == entry) {
            Some((headings, _)) => headings.push(heading),
            None => papers.push((vec![heading], entry)),
        }
    }
    papers
        .into_iter()
        .map(|(headings, entry)| (joined(&headings), entry))
        .collect()
}

fn joined(headings: &[&str]) -> String {
    match headings {
        [head @ .., last] if !head.is_empty() => format!("{} and {last}", head.join(", ")),
        _ => headings.concat(),
    }
}
