//! The special tokens that a tokenizer puts around one text.

use tokenizers::{PostProcessor, PostProcessorWrapper, Tokenizer};

/// Ids before and after a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
}

impl Frame {
    /// `None` if what is added is not the same for every text, or has types.
    pub(super) fn of(tokenizer: &Tokenizer) -> Option<Self> {
        let Some(processor) = tokenizer.get_post_processor() else {
            return Some(Self::default());
        };
        let (PostProcessorWrapper::Template(_)
        | PostProcessorWrapper::Bert(_)
        | PostProcessorWrapper::Roberta(_)) = processor
        else {
            return None;
        };
        // A text that is a word of its own in most vocabularies, and in any case not empty.
        let text = tokenizer.encode_fast("a", false).ok()?;
        let ids = text.get_ids().to_vec();
        let framed = processor.process(text, None, true).ok()?;
        if ids.is_empty() || framed.get_type_ids().iter().any(|kind| *kind != 0) {
            return None;
        }
        let all = framed.get_ids();
        let mut places = all.windows(ids.len()).enumerate();
        let (start, _) = places.find(|(_, window)| *window == ids)?;
        // In two places it could not be told from the frame.
        if places.any(|(_, window)| *window == ids) {
            return None;
        }
        Some(Self {
            before: all[..start].to_vec(),
            after: all[start + ids.len()..].to_vec(),
        })
    }

    /// A text with its frame.
    pub(super) fn around(&self, ids: &[u32]) -> Vec<u32> {
        [&self.before, ids, &self.after].concat()
    }
}
