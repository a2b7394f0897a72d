//! A packed batch of token ids: no padding, no mask.

/// Token ids of several texts, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenBatch {
    /// All ids.
    pub ids: Vec<u32>,
    /// `texts + 1` boundaries into `ids`; the first is 0.
    pub bounds: Vec<u32>,
    /// One stable name a text; dropout masks depend on it, never on the place in the batch.
    pub text_ids: Vec<u64>,
    /// Leading tokens of each text that pooling leaves out (a prompt with `include_prompt = false`), else 0.
    pub skip: Vec<u32>,
}

impl TokenBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self {
            bounds: vec![0],
            ..Self::default()
        }
    }

    /// Appends one text.
    pub fn push(&mut self, ids: &[u32], text_id: u64, skip: u32) {
        self.ids.extend_from_slice(ids);
        self.bounds
            .push(u32::try_from(self.ids.len()).expect("fewer than 2^32 tokens a batch"));
        self.text_ids.push(text_id);
        self.skip.push(skip);
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
