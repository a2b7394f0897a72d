//! What retrieval is evaluated on: questions, passages, and which passages answer which question.

mod beir;
mod pairs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::digest::TextDigest;
use crate::error::DataError;

/// Questions and passages as (id, text), in the order of their files, and the relevant passages of each question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetrievalData {
    /// Questions.
    pub queries: Vec<(String, String)>,
    /// Passages.
    pub corpus: Vec<(String, String)>,
    /// Question id to the ids of the passages that answer it; a question without any is not in here.
    pub relevant: BTreeMap<String, BTreeSet<String>>,
}

impl RetrievalData {
    /// Reads a BEIR folder or a file of pairs.
    ///
    /// A BEIR folder holds `corpus.jsonl` (`_id`, `text` and perhaps `title`; other keys are passed over), and
    /// `queries.jsonl` (`_id`, `text`), each perhaps `.gz` or `.zst`; and the judgements, tab-separated query id, corpus
    /// id and score, with or without a header: `qrels.tsv`, else `qrels/test.tsv`, else the only `.tsv` file in `qrels/`.
    /// A score above 0 means relevant. A passage with a title is `title + " " + text`, trimmed.
    ///
    /// A pairs file is any file [`Dataset::open`](crate::Dataset::open) reads, one question and one passage that answers
    /// it a row. The question is the column called anchor, query, question or sentence1; the passage is positive,
    /// passage, document, context, answer or sentence2. When only one of the two is there by name, the first other column
    /// is the other one; when neither is, the first two columns are question and passage. Further columns are passed
    /// over. Equal passages are one document, equal questions one query with several answers; ids are `q0`, `q1`...
    /// and `d0`, `d1`...
    ///
    /// # Errors
    /// Missing files, null or wrong types, an id used twice, a judgement about an unknown id, no relevant pair.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let data = if path.is_dir() {
            beir::open(path)?
        } else {
            pairs::open(path)?
        };
        if data.relevant.is_empty() {
            return Err(DataError::NoRelevantPairs {
                path: path.to_path_buf(),
            });
        }
        Ok(data)
    }

    /// SHA-256 in hexadecimal over the numbers of questions, passages and judged questions, each followed by its ids and
    /// texts (for the judgements: the question's id, their number, the passages' ids), encoded as in
    /// [`Dataset::fingerprint`](crate::Dataset::fingerprint).
    pub fn fingerprint(&self) -> String {
        let mut digest = TextDigest::default();
        for texts in [&self.queries, &self.corpus] {
            digest.number(texts.len());
            texts
                .iter()
                .flat_map(|(id, text)| [id, text])
                .for_each(|text| digest.text(text));
        }
        digest.number(self.relevant.len());
        for (query, documents) in &self.relevant {
            digest.text(query);
            digest.number(documents.len());
            documents.iter().for_each(|document| digest.text(document));
        }
        digest.hex()
    }
}
