//! Documents and their embeddings as Parquet files, one after the other, so that work that ended early goes on where it was.

mod columns;
mod file;

use std::path::{Path, PathBuf};

use matryo_base::{Digest, FileError, Progress};
use matryo_data::{Document, DocumentColumns, read_documents};
use matryo_model::{EncodeOptions, Encoded, ModelError, Role, SentenceEncoder};

use crate::{CollectionError, ModelIdentity, ingest::digest};
use file::{Tags, write};

/// How to embed.
pub struct EmbedOptions<'a> {
    /// Documents of a file; what is done again after an interruption, and held in memory.
    pub documents_per_file: usize,
    /// Tokens that go through the model at once, to bound memory.
    pub tokens_per_batch: Option<usize>,
    /// Receives how many documents are done, and how many there are.
    pub progress: Progress<'a>,
}

impl Default for EmbedOptions<'_> {
    fn default() -> Self {
        Self {
            documents_per_file: 10_000,
            tokens_per_batch: None,
            progress: Progress::none(),
        }
    }
}

/// What was embedded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmbedReport {
    /// Documents in all files.
    pub documents: usize,
    /// Files.
    pub files: usize,
    /// Documents that an earlier call had embedded.
    pub unchanged: usize,
    /// Texts that were too long and cut.
    pub truncated: usize,
}

/// Embeds the documents of all `paths`, in order, into the files `part-00000.parquet`, `part-00001.parquet`... of `folder`, with the
/// columns `_id`, `content` (the text), every field, and `embedding`. [`Collection::add`](crate::Collection::add) takes the folder
/// with `embedding` as [`DocumentColumns::embedding`], and so do other programs.
///
/// A file that holds the same documents by the same model stays; others are written anew, each under a temporary name first, and files of
/// an earlier call beyond the last are removed. Numbers, truth values, texts and lists of texts keep their type, other fields become
/// their JSON.
///
/// # Errors
/// Whatever is wrong with a document; a file by another model or program; a full disk. What was written before is safe, and the same call
/// goes on.
pub fn embed_documents(
    model: &SentenceEncoder,
    paths: &[PathBuf],
    columns: &DocumentColumns,
    folder: &Path,
    options: &EmbedOptions<'_>,
) -> Result<EmbedReport, CollectionError> {
    let mut total = 0;
    for path in paths {
        // Before anything is encoded.
        read_documents(path, columns, |document| {
            total += 1;
            columns::check(&document)
        })?;
    }
    std::fs::create_dir_all(folder).map_err(FileError::new("create", folder))?;
    let identity = ModelIdentity::of(model, "")?;
    let identity = serde_json::to_string(&identity).expect("texts and numbers are plain data");
    let mut embedding = Embedding {
        model,
        identity,
        folder,
        options,
        total,
        report: EmbedReport::default(),
    };
    let mut batch = Vec::new();
    for path in paths {
        read_documents(path, columns, |document| {
            batch.push(document);
            let full = batch.len() == options.documents_per_file.max(1);
            if full {
                embedding.file(&std::mem::take(&mut batch))
            } else {
                Ok(())
            }
        })?;
    }
    if !batch.is_empty() {
        embedding.file(&batch)?;
    }
    embedding.remove_surplus()?;
    Ok(embedding.report)
}

struct Embedding<'a> {
    model: &'a SentenceEncoder,
    identity: String,
    folder: &'a Path,
    options: &'a EmbedOptions<'a>,
    /// Number of documents to embed.
    total: usize,
    report: EmbedReport,
}

impl Embedding<'_> {
    fn path(&self, number: usize) -> PathBuf {
        self.folder.join(format!("part-{number:05}.parquet"))
    }

    /// The next file.
    fn file(&mut self, documents: &[Document]) -> Result<(), CollectionError> {
        let path = self.path(self.report.files);
        let tags = Tags {
            model: self.identity.clone(),
            documents: digest_of(documents),
        };
        let there = Tags::of(&path)?;
        if there
            .as_ref()
            .is_some_and(|there| there.model != tags.model)
        {
            return Err(CollectionError::OtherShard {
                path,
                of: "of another model",
            });
        }
        if there.is_some_and(|there| there.documents == tags.documents) {
            self.report.unchanged += documents.len();
        } else {
            let encoded = self.encode(documents)?;
            self.report.truncated += encoded.truncated;
            write(&path, documents, &encoded.embeddings, &tags)?;
        }
        self.report.files += 1;
        self.report.documents += documents.len();
        self.tell(0);
        Ok(())
    }

    fn encode(&self, documents: &[Document]) -> Result<Encoded, ModelError> {
        let texts: Vec<&str> = documents
            .iter()
            .map(|document| document.text.as_str())
            .collect();
        let progress = |done: usize, _: usize| self.tell(done);
        let options = EncodeOptions {
            role: Role::Document,
            tokens_per_batch: self.options.tokens_per_batch,
            progress: Progress::new(&progress),
            ..EncodeOptions::default()
        };
        self.model.encode_with(&texts, &options)
    }

    /// Tells that `more` documents are done besides those in files.
    fn tell(&self, more: usize) {
        let done = self.report.documents + more;
        self.options.progress.advance(done, self.total);
    }

    /// Removes the files that an earlier call with more documents left.
    fn remove_surplus(&self) -> Result<(), CollectionError> {
        for number in self.report.files.. {
            let path = self.path(number);
            if Tags::of(&path)?.is_none() {
                break;
            }
            std::fs::remove_file(&path).map_err(FileError::new("remove", &path))?;
        }
        Ok(())
    }
}

/// Of ids, texts and fields.
fn digest_of(documents: &[Document]) -> String {
    let mut all = Digest::new();
    documents.iter().for_each(|document| {
        all.update(format!(
            "{} {}{}",
            document.id.len(),
            document.id,
            digest(document)
        ))
    });
    all.hex()
}
