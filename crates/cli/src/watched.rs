//! A model that shows how far it is, and counts the texts it cuts, while something else uses it.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
};

use indicatif::ProgressBar;
use matryo_base::Progress;
use matryo_model::{Embed, EncodeOptions, ModelError, Role, SentenceEncoder};
use matryo_ops::Mat;

use crate::{console::Console, progress};

const TEMPLATE: &str = "{msg} {bar:24} {pos}/{len} texts, {eta} left";

/// Embeds as the model does.
pub struct Watched<'a> {
    model: &'a SentenceEncoder,
    tokens_per_batch: Option<NonZeroUsize>,
    console: &'a Console,
    bar: ProgressBar,
    texts: usize,
    truncated: AtomicUsize,
}

impl<'a> Watched<'a> {
    /// Shows a bar for `texts` texts with `what` in front.
    pub fn new(
        model: &'a SentenceEncoder,
        tokens_per_batch: Option<NonZeroUsize>,
        texts: usize,
        what: &'static str,
        console: &'a Console,
    ) -> Self {
        let bar = progress::bar(console, texts as u64, TEMPLATE).with_message(what);
        Self {
            model,
            tokens_per_batch,
            console,
            bar,
            texts,
            truncated: AtomicUsize::new(0),
        }
    }

    /// Takes the bar away and tells how many texts were cut.
    pub fn finish(self) {
        self.bar.finish_and_clear();
        warn_truncated(self.truncated.into_inner(), self.texts, self.console);
    }
}

/// Tells how many of `texts` texts were cut, if any.
pub fn warn_truncated(truncated: usize, texts: usize, console: &Console) {
    if truncated > 0 {
        console.warn(&format!(
            "{truncated} of {texts} texts were too long and were cut"
        ));
    }
}

impl Embed for Watched<'_> {
    fn dim(&self) -> usize {
        Embed::dim(self.model)
    }

    fn embed(&self, texts: &[&str], role: Role) -> Result<Mat, ModelError> {
        let start = self.bar.position();
        let advance = |done: usize, _total: usize| self.bar.set_position(start + done as u64);
        let tokens_per_batch = self.tokens_per_batch.map(NonZeroUsize::get);
        let options = EncodeOptions {
            role,
            tokens_per_batch,
            progress: Progress::new(&advance),
            ..EncodeOptions::default()
        };
        let encoded = self.model.encode_with(texts, &options)?;
        self.truncated
            .fetch_add(encoded.truncated, Ordering::Relaxed);
        Ok(encoded.embeddings)
    }
}
