//! Merges of a BPE tokenizer, and those that make a word one token: as skeletoken, which model2vec adds words with, finds them.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

type Pair = (String, String);

/// Pairs of tokens that are joined, first ones first.
#[derive(Debug)]
pub(crate) struct Merges {
    ranks: HashMap<Pair, usize>,
    pairs: Vec<Pair>,
    /// All tokens that a merge joins.
    joined: BTreeSet<String>,
}

impl Merges {
    /// The merges as tokenizer.json has them; `None` if that is no list of pairs.
    pub(crate) fn read(merges: &Value) -> Option<Self> {
        let mut read = Self {
            ranks: HashMap::new(),
            pairs: Vec::new(),
            joined: BTreeSet::new(),
        };
        for merge in merges.as_array()? {
            let [left, right] = &merge.as_array()?[..] else {
                return None;
            };
            read.push((left.as_str()?.to_owned(), right.as_str()?.to_owned()));
        }
        Some(read)
    }

    /// The merges in the form of tokenizer.json.
    pub(crate) fn written(&self) -> Value {
        self.pairs
            .iter()
            .map(|(left, right)| json!([left, right]))
            .collect()
    }

    /// Adds merges until `token` is one: every pair of neighbours that is left, from its start on, again and again.
    pub(crate) fn make(&mut self, token: &str) {
        let mut parts = self.apply(token);
        while parts.len() > 1 {
            for pair in parts.chunks_exact(2) {
                self.push((pair[0].clone(), pair[1].clone()));
            }
            parts = self.apply(token);
        }
    }

    /// The tokens that merges join and `is_known` does not know, in order.
    pub(crate) fn missing(&self, is_known: impl Fn(&str) -> bool) -> Vec<String> {
        let joined = self.joined.iter();
        joined.filter(|token| !is_known(token)).cloned().collect()
    }

    fn push(&mut self, pair: Pair) {
        self.joined.extend([pair.0.clone(), pair.1.clone()]);
        if !self.ranks.contains_key(&pair) {
            self.ranks.insert(pair.clone(), self.pairs.len());
            self.pairs.push(pair);
        }
    }

    /// What the merges leave of a token's characters.
    fn apply(&self, token: &str) -> Vec<String> {
        let mut parts: Vec<String> = token.chars().map(String::from).collect();
        loop {
            let neighbours = parts.windows(2);
            let ranks =
                neighbours.filter_map(|pair| self.ranks.get(&(pair[0].clone(), pair[1].clone())));
            let Some(&first) = ranks.min() else {
                return parts;
            };
            parts = joined(parts, &self.pairs[first]);
        }
    }
}

/// Tokens with each occurrence of a pair made one.
fn joined(parts: Vec<String>, (left, right): &Pair) -> Vec<String> {
    let mut joined: Vec<String> = Vec::with_capacity(parts.len());
    let mut parts = parts.into_iter().peekable();
    while let Some(mut part) = parts.next() {
        if part == *left
            && let Some(next) = parts.next_if_eq(right)
        {
            part.push_str(&next);
        }
        joined.push(part);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_joined_until_one_is_left() {
        let mut merges = Merges::read(&json!([["t", "e"], ["te", "s"]])).unwrap();
        assert_eq!(merges.apply("testes"), ["tes", "tes"]);
        merges.make("attest");
        assert_eq!(merges.apply("attest"), ["attest"]);
        // `a`, `t`, `tes` and `t` are what the old merges leave.
        let added = json!([
            ["t", "e"],
            ["te", "s"],
            ["a", "t"],
            ["tes", "t"],
            ["at", "test"]
        ]);
        assert_eq!(merges.written(), added);
        let known = ["a", "e", "s", "t", "te", "tes"];
        assert_eq!(
            merges.missing(|token| known.contains(&token)),
            ["at", "test"]
        );
        assert!(Merges::read(&json!(["t e"])).is_none());
    }
}
