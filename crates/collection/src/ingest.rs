//! Documents into a collection, so that a run that ended early can be run again: what is there and unchanged is passed over,
//! and the points of a document have ids of their own, so that none is there twice.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use matryo_base::{Digest, Progress, hex};
use matryo_data::{Document, DocumentColumns, read_documents};
use matryo_model::{EncodeOptions, Encoded, Role, SentenceEncoder};
use matryo_ops::Mat;
use serde_json::Value;

use crate::{
    Collection, CollectionError,
    chunk::chunks,
    point::{CHUNK, HASH, ID, Point, PointId, TEXT},
    words::WordModel,
};

/// Documents that are looked up, encoded and written at once: enough for batches of texts of one length, few enough that
/// little is done again after an interruption.
const BATCH: usize = 512;

/// Chunks that are encoded and written at once, so that long documents in many pieces take no more memory than short ones.
const CHUNKS: usize = 2048;

/// Documents of a batch that are encoded again where embeddings came with them.
const ENCODED_AGAIN: usize = 4;

/// Cosine of two embeddings of one text by one model, at least: values in 8 bits reach it, another model or prompt hardly.
const SAME: f64 = 0.98;

/// How to add.
#[derive(Default)]
pub struct AddOptions<'a> {
    /// Fail unless every document is there already.
    pub only_existing: bool,
    /// Tokens that go through the model at once; `None` chooses.
    pub tokens_per_batch: Option<usize>,
    /// Take embeddings that come with documents for the model's without a look at any.
    pub trust_embeddings: bool,
    /// Receives after each batch how many documents are safe, and how many there are.
    pub progress: Progress<'a>,
}

/// What adding did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddReport {
    /// Documents that are in the collection now and were not before.
    pub added: usize,
    /// Documents whose text or fields changed.
    pub replaced: usize,
    /// Documents that were there as they are.
    pub unchanged: usize,
    /// Chunks that were written.
    pub chunks: usize,
    /// Chunks too long for the model, of which it read the beginning.
    pub truncated: usize,
}

/// A document that has to be written.
struct Pending<'a> {
    document: &'a Document,
    hash: String,
    pieces: Vec<&'a str>,
}

impl Collection {
    /// Adds the documents of a file or folder, and replaces those whose text or fields changed. Read
    /// [`check_documents`](matryo_data::check_documents) first: it finds what is wrong before anything is written.
    ///
    /// # Errors
    /// Another model than the collection's; whatever is wrong with a document; a full disk. What was reported as done is safe
    /// then, and the same call goes on.
    pub fn add(
        &self,
        model: &SentenceEncoder,
        path: &Path,
        columns: &DocumentColumns,
        options: &AddOptions<'_>,
    ) -> Result<AddReport, CollectionError> {
        let mut adding = Adding::new(self, model, options)?;
        // Before anything is written.
        let mut ids = Vec::new();
        read_documents::<CollectionError>(path, columns, |document| {
            check_fields(&document)?;
            adding.total += 1;
            ids.extend(options.only_existing.then_some(document.id));
            Ok(())
        })?;
        self.expect_all(&ids)?;
        let mut report = AddReport::default();
        let mut batch = Vec::with_capacity(BATCH);
        read_documents(path, columns, |document| {
            batch.push(document);
            if batch.len() == BATCH {
                adding.write(&std::mem::take(&mut batch), &mut report)
            } else {
                Ok(())
            }
        })?;
        adding.write(&batch, &mut report)?;
        Ok(report)
    }

    /// As [`Collection::add`], of documents in memory, whose ids are their own.
    pub fn add_documents(
        &self,
        model: &SentenceEncoder,
        documents: &[Document],
        options: &AddOptions<'_>,
    ) -> Result<AddReport, CollectionError> {
        let mut adding = Adding::new(self, model, options)?;
        documents.iter().try_for_each(check_fields)?;
        adding.total = documents.len();
        if options.only_existing {
            let ids: Vec<String> = documents
                .iter()
                .map(|document| document.id.clone())
                .collect();
            self.expect_all(&ids)?;
        }
        let mut report = AddReport::default();
        documents
            .chunks(BATCH)
            .try_for_each(|batch| adding.write(batch, &mut report))?;
        Ok(report)
    }

    fn expect_all(&self, ids: &[String]) -> Result<(), CollectionError> {
        let mut unknown = Vec::new();
        for ids in ids.chunks(BATCH) {
            let stored = self.stored(ids)?;
            let known: HashSet<&str> = stored.iter().map(Point::document).collect();
            unknown.extend(
                ids.iter()
                    .filter(|id| !known.contains(id.as_str()))
                    .cloned(),
            );
        }
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(CollectionError::UnknownDocuments {
                ids: unknown,
                of: ids.len(),
            })
        }
    }
}

struct Adding<'a> {
    collection: &'a Collection,
    model: &'a SentenceEncoder,
    words: Option<WordModel>,
    options: &'a AddOptions<'a>,
    /// Number of documents to add.
    total: usize,
}

impl<'a> Adding<'a> {
    fn new(
        collection: &'a Collection,
        model: &'a SentenceEncoder,
        options: &'a AddOptions<'a>,
    ) -> Result<Self, CollectionError> {
        collection.manifest().model.check(model)?;
        Ok(Self {
            collection,
            model,
            words: WordModel::of(collection.manifest())?,
            options,
            total: 0,
        })
    }

    /// New points first, then the chunks too many of documents that became shorter: whenever this ends, the next call sees
    /// what is left to do from what is stored.
    fn write(&self, documents: &[Document], report: &mut AddReport) -> Result<(), CollectionError> {
        self.check_embeddings(documents)?;
        let ids: Vec<String> = documents
            .iter()
            .map(|document| document.id.clone())
            .collect();
        let stored = self.collection.stored(&ids)?;
        let mut of: HashMap<&str, Vec<&Point>> = HashMap::new();
        stored
            .iter()
            .for_each(|point| of.entry(point.document()).or_default().push(point));
        let mut taken = HashSet::new();
        let mut pending = Vec::new();
        let mut surplus: Vec<PointId> = Vec::new();
        for document in documents
            .iter()
            .filter(|document| taken.insert(document.id.as_str()))
        {
            let there = of.get(document.id.as_str()).map_or(&[][..], Vec::as_slice);
            let next = self.pending(document)?;
            if next.is_stored_as(there) {
                report.unchanged += 1;
                continue;
            }
            *(if there.is_empty() {
                &mut report.added
            } else {
                &mut report.replaced
            }) += 1;
            surplus.extend(
                there
                    .iter()
                    .filter(|point| point.chunk() >= next.pieces.len())
                    .map(|point| point.id),
            );
            pending.push(next);
        }
        self.encode_and_write(&pending, report)?;
        self.collection.delete_points(&surplus)?;
        let safe = report.added + report.replaced + report.unchanged;
        self.options.progress.advance(safe, self.total);
        Ok(())
    }

    /// What was embedded elsewhere was embedded whole.
    fn pending<'d>(&self, document: &'d Document) -> Result<Pending<'d>, CollectionError> {
        let chunking = self
            .collection
            .manifest()
            .chunking
            .filter(|_| document.embedding.is_none());
        let pieces = chunks(
            &document.text,
            self.model.tokenizer_of(Role::Document)?,
            chunking,
        )?;
        Ok(Pending {
            document,
            hash: digest(document),
            pieces,
        })
    }

    fn encode_and_write(
        &self,
        pending: &[Pending<'_>],
        report: &mut AddReport,
    ) -> Result<(), CollectionError> {
        let pieces = pending.iter().flat_map(|it| {
            it.pieces
                .iter()
                .enumerate()
                .map(move |(i, text)| (it, i, *text))
        });
        let pieces: Vec<_> = pieces.collect();
        pieces
            .chunks(CHUNKS)
            .try_for_each(|pieces| self.write_pieces(pieces, report))
    }

    /// Writes some chunks, each with its document and its number there.
    fn write_pieces(
        &self,
        pieces: &[(&Pending<'_>, usize, &str)],
        report: &mut AddReport,
    ) -> Result<(), CollectionError> {
        report.chunks += pieces.len();
        let given: Option<Vec<&[f32]>> = pieces
            .iter()
            .map(|(it, _, _)| it.document.embedding.as_deref())
            .collect();
        if let Some(given) = given {
            let embeddings = Mat::from_vec(
                given.len(),
                self.collection.manifest().dim(),
                given.concat(),
            );
            return self
                .collection
                .backend()
                .upsert(self.points(pieces, &embeddings));
        }
        let texts: Vec<&str> = pieces.iter().map(|(_, _, text)| *text).collect();
        let encoded = self.encode(&texts)?;
        report.truncated += encoded.truncated;
        self.collection
            .backend()
            .upsert(self.points(pieces, &encoded.embeddings))
    }

    fn encode(&self, texts: &[&str]) -> Result<Encoded, CollectionError> {
        let tokens_per_batch = self.options.tokens_per_batch;
        let options = EncodeOptions {
            role: Role::Document,
            tokens_per_batch,
            ..EncodeOptions::default()
        };
        Ok(self.model.encode_with(texts, &options)?)
    }

    /// Fails where embeddings that came with documents are no work of the model: all by their width, a few by their values.
    fn check_embeddings(&self, documents: &[Document]) -> Result<(), CollectionError> {
        let mut given: Vec<(&Document, &[f32])> = documents
            .iter()
            .filter_map(|document| Some((document, document.embedding.as_deref()?)))
            .collect();
        let expected = self.collection.manifest().dim();
        if let Some((document, found)) = given
            .iter()
            .find(|(_, embedding)| embedding.len() != expected)
        {
            return Err(CollectionError::EmbeddingWidth {
                id: document.id.clone(),
                found: found.len(),
                expected,
            });
        }
        if given.is_empty() || self.options.trust_embeddings {
            return Ok(());
        }
        // The shortest are soon encoded, and were hardly cut where they were embedded.
        given.sort_by_key(|(document, _)| document.text.len());
        given.truncate(ENCODED_AGAIN);
        let texts: Vec<&str> = given
            .iter()
            .map(|(document, _)| document.text.as_str())
            .collect();
        let encoded = self.encode(&texts)?;
        for (row, (document, embedding)) in given.into_iter().enumerate() {
            let cosine = cosine(encoded.embeddings.row(row), embedding);
            if cosine < SAME {
                return Err(CollectionError::OtherEmbedding {
                    id: document.id.clone(),
                    cosine,
                });
            }
        }
        Ok(())
    }

    fn points(&self, pieces: &[(&Pending<'_>, usize, &str)], embeddings: &Mat) -> Vec<Point> {
        let dims = &self.collection.manifest().dims;
        let point = |(row, &(pending, chunk, text)): (usize, &(&Pending<'_>, usize, &str))| Point {
            id: PointId::of(&pending.document.id, chunk),
            vectors: dims
                .iter()
                .map(|&dim| (dim.to_string(), embeddings.row(row)[..dim].to_vec()))
                .collect(),
            words: self.words.as_ref().map(|words| words.document(text)),
            payload: pending.payload(chunk, text),
        };
        pieces.iter().enumerate().map(point).collect()
    }
}

impl Pending<'_> {
    /// Whether exactly the chunks of this version are stored.
    fn is_stored_as(&self, there: &[&Point]) -> bool {
        there.len() == self.pieces.len()
            && there
                .iter()
                .all(|point| point.chunk() < self.pieces.len() && point.hash() == self.hash)
    }

    fn payload(&self, chunk: usize, text: &str) -> serde_json::Map<String, Value> {
        let mut payload = self.document.fields.clone();
        payload.insert(ID.to_owned(), self.document.id.clone().into());
        payload.insert(TEXT.to_owned(), text.into());
        payload.insert(CHUNK.to_owned(), chunk.into());
        payload.insert(HASH.to_owned(), self.hash.clone().into());
        payload
    }
}

/// Numbers from which on a list is a vector that was taken for a field.
const VECTOR: usize = 32;

fn check_fields(document: &Document) -> Result<(), CollectionError> {
    let id = || document.id.clone();
    if let Some(field) = [ID, TEXT, CHUNK, HASH]
        .into_iter()
        .find(|field| document.fields.contains_key(*field))
    {
        return Err(CollectionError::ReservedField {
            id: id(),
            field: field.to_owned(),
        });
    }
    let is_vector =
        |values: &Vec<Value>| values.len() >= VECTOR && values.iter().all(Value::is_number);
    match document
        .fields
        .iter()
        .find(|(_, value)| value.as_array().is_some_and(is_vector))
    {
        Some((field, _)) => Err(CollectionError::VectorField {
            id: id(),
            field: field.clone(),
        }),
        None => Ok(()),
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(&x, &y)| f64::from(x) * f64::from(y))
            .sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE)
}

/// Text, fields and embedding of a document, as 32 hexadecimal digits.
pub(crate) fn digest(document: &Document) -> String {
    let fields = serde_json::to_string(&document.fields).expect("values read as JSON");
    let mut digest = Digest::new();
    digest.update(format!("{} {}{fields}", document.text.len(), document.text));
    document
        .embedding
        .iter()
        .flatten()
        .for_each(|value| digest.update(value.to_le_bytes()));
    hex(&digest.bytes()[..16])
}
