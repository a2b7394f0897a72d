//! A folder with a model and a head, opened: texts in, probabilities out.

use std::{path::Path, sync::Arc};

use matryo_base::Progress;
use matryo_model::{Embed, EncodeOptions, Encoded, ExpectedPrompts, SentenceEncoder};
use matryo_ops::Ops;

use crate::{ClassifierFile, ClassifyError, LogisticHead, Predictions, head_files};

/// A sentence-embedding model with a head on it.
pub struct Classifier {
    model: SentenceEncoder,
    settings: ClassifierFile,
    head: LogisticHead,
}

impl Classifier {
    /// Opens a folder that [`crate::train`] wrote, on a device of choice ([`matryo_ops::cpu`]).
    ///
    /// # Errors
    /// A folder without a classifier, a label or tensor that is wrong, a head for embeddings of another width than the model's,
    /// and whatever is wrong with the model.
    pub fn open(folder: impl AsRef<Path>, ops: Arc<dyn Ops>) -> Result<Self, ClassifyError> {
        let folder = folder.as_ref();
        // A folder that is not there, or holds no model, is told as such and not as one without a head.
        let model = SentenceEncoder::open_on(folder, ops)?;
        let (settings, head) = head_files::read(folder)?;
        let width = Embed::dim(&model);
        if head.dim() != width {
            return Err(ClassifyError::Width {
                folder: folder.to_owned(),
                found: head.dim(),
                expected: width,
            });
        }
        Ok(Self {
            model,
            settings,
            head,
        })
    }

    /// As [`SentenceEncoder::on_missing_prompt`], of texts to be classified.
    pub fn on_missing_prompt(&mut self, tell: impl Fn(&ExpectedPrompts) + Send + Sync + 'static) {
        self.model.on_missing_prompt(tell);
    }

    /// The model under the head.
    pub fn model(&self) -> &SentenceEncoder {
        &self.model
    }

    /// The head.
    pub fn head(&self) -> &LogisticHead {
        &self.head
    }

    /// What is told of it: labels, training.
    pub fn settings(&self) -> &ClassifierFile {
        &self.settings
    }

    /// Names of the classes, in the order of the probabilities.
    pub fn labels(&self) -> &[String] {
        &self.settings.labels
    }

    /// The probability of every class for every text.
    ///
    /// # Errors
    /// A text that the tokenizer refuses.
    pub fn predict<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Predictions, ClassifyError> {
        Ok(self.predict_with(texts, Progress::none())?.0)
    }

    /// As [`Classifier::predict`]; `progress` receives texts done and texts in all. Gives the embeddings as well, and how many
    /// texts were cut.
    ///
    /// # Errors
    /// As [`Classifier::predict`].
    pub fn predict_with<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        progress: Progress<'_>,
    ) -> Result<(Predictions, Encoded), ClassifyError> {
        let normalize = self.settings.normalize_embeddings;
        let encoded = self.model.encode_with(
            texts,
            &EncodeOptions {
                normalize,
                progress,
                ..Default::default()
            },
        )?;
        Ok((self.head.probabilities(encoded.embeddings.view()), encoded))
    }
}
