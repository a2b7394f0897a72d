//! A packed batch of token ids: no padding, no mask.

/// Token ids of several texts, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenBatch {
    /// All ids.
    pub ids: Vec<u32>,
    /// `texts + 1` boundaries into `ids`; the first is 0.
    pub bounds: Vec<u32>,
    /// Token type of each id; empty if all of them are 0.
    pub types: Vec<u32>,
    /// One stable name per text: dropout masks depend on it, never on the place in the batch.
    pub text_ids: Vec<u64>,
    /// Leading tokens of each text that pooling leaves out (a prompt with `include_prompt = false`), else 0.
    pub skip: Vec<u32>,
    /// The route that all of the texts take; 0 in a model without routes.
    pub route: usize,
}

impl TokenBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self {
            bounds: vec![0],
            ..Self::default()
        }
    }

    /// An empty batch of texts that take a route.
    pub fn on_route(route: usize) -> Self {
        Self {
            route,
            ..Self::new()
        }
    }

    /// Appends one text.
    pub fn push(&mut self, ids: &[u32], text_id: u64, skip: u32) {
        self.ids.extend_from_slice(ids);
        if !self.types.is_empty() {
            self.types.resize(self.ids.len(), 0);
        }
        self.bounds
            .push(u32::try_from(self.ids.len()).expect("fewer than 2^32 tokens per batch"));
        self.text_ids.push(text_id);
        self.skip.push(skip);
    }

    /// Appends one text whose tokens have these types, such as a pair of texts. Panics unless there is one per id.
    pub fn push_typed(&mut self, ids: &[u32], types: &[u32], text_id: u64, skip: u32) {
        assert_eq!(ids.len(), types.len(), "one token type per id");
        self.types.resize(self.ids.len(), 0);
        self.types.extend_from_slice(types);
        self.push(ids, text_id, skip);
    }

    /// Number of texts.
    pub fn texts(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_kept_for_all_tokens_or_none() {
        let mut batch = TokenBatch::new();
        batch.push(&[1, 2], 0, 0);
        assert!(batch.types.is_empty());
        batch.push_typed(&[3, 4, 5], &[0, 1, 1], 1, 0);
        batch.push(&[6], 2, 0);
        assert_eq!(batch.types, [0, 0, 0, 1, 1, 0]);
        assert_eq!((batch.texts(), batch.tokens()), (3, 6));
    }
}
