//! `matryo index add` and `update`: documents of a file or folder into a collection.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use matryo_base::Progress;
use matryo_collection::{
    AddOptions, AddReport, Chunking, Collection, CreateOptions, Place, Spread, VectorStorage,
};
use matryo_data::{DocumentColumns, check_documents};
use matryo_model::SentenceEncoder;
use serde_json::json;

use super::{CollectionModelArgs, PlaceArgs, watch::Watch};
use crate::{
    commands::{Context, Outcome},
    error::CliError,
    progress::grouped,
    stdout,
    watched::warn_truncated,
};

/// Add documents; those whose text or fields changed are replaced, the others passed over.
///
/// The first call makes the collection. A call that was interrupted can be repeated: each document is there once. Documents
/// are rows of .jsonl, .csv, .tsv or .parquet, lines of .txt, or the .txt, .md and .parquet files in a folder and below.
#[derive(Debug, Args)]
pub struct AddArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    model: CollectionModelArgs,
    #[command(flatten)]
    documents: DocumentArgs,
    #[command(flatten)]
    embeddings: EmbeddingArgs,
    #[command(flatten)]
    create: CreateArgs,
}

/// Replace documents that are there; one that is not is an error, before anything is changed.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    model: CollectionModelArgs,
    #[command(flatten)]
    documents: DocumentArgs,
    #[command(flatten)]
    embeddings: EmbeddingArgs,
}

/// Embeddings from elsewhere.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Documents")]
struct EmbeddingArgs {
    /// Column of embeddings that the same model made of the texts, such as `matryo index embed` writes; they are taken as they are
    #[arg(long, value_name = "NAME")]
    embedding_column: Option<String>,
}

/// Where documents come from.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Documents")]
pub struct DocumentArgs {
    /// Files or folders of documents
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Column of the id [default: _id or id; without one a digest of the text]
    #[arg(long, value_name = "NAME")]
    id_column: Option<String>,
    /// Columns of the text, joined by a space [default: title and text, else sentence, content, body, or the only one]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    text_column: Vec<String>,
    /// Columns to keep as fields [default: all others]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    fields: Option<Vec<String>>,
    /// Tokens that go through the model at once; bounds memory
    #[arg(long, value_name = "N")]
    batch_tokens: Option<NonZeroUsize>,
}

/// What is chosen when a collection is made.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "New collections")]
struct CreateArgs {
    /// Prefixes of the vectors to store besides the whole, for search in stages
    #[arg(long, value_name = "N", value_delimiter = ',')]
    dims: Vec<usize>,
    /// How vectors are kept for the first look; answers are rescored with the whole values [default: float32]
    #[arg(long, value_name = "float32|int8|binary")]
    storage: Option<VectorStorage>,
    /// Store words too, for search by meaning and words
    #[arg(long)]
    hybrid: bool,
    /// Language of the words [default: english]
    #[arg(long, value_name = "NAME", requires = "hybrid")]
    language: Option<String>,
    /// Cut documents into chunks of N tokens
    #[arg(long, value_name = "N")]
    chunk_tokens: Option<usize>,
    /// Tokens that neighbouring chunks share [default: an eighth of a chunk]
    #[arg(long, value_name = "N", requires = "chunk_tokens")]
    chunk_overlap: Option<usize>,
    /// Parts over which a server spreads the collection
    #[arg(long, value_name = "N", requires = "url")]
    shards: Option<u32>,
    /// Copies of each part that a cluster keeps
    #[arg(long, value_name = "N", requires = "url")]
    replicas: Option<u32>,
}

/// Makes the collection if need be, and adds.
pub fn add(args: &AddArgs, context: &Context) -> Result<Outcome, CliError> {
    let columns = args.embeddings.among(&args.documents);
    let count = args.documents.check(&columns)?;
    let place = args.place.place(Spread {
        shards: args.create.shards,
        replicas: args.create.replicas,
    });
    let (collection, model) = args.open(&place, context)?;
    args.documents
        .add_to(&collection, &model, (count, &columns), false, context)
}

/// Adds what must be there.
pub fn update(args: &UpdateArgs, context: &Context) -> Result<Outcome, CliError> {
    let columns = args.embeddings.among(&args.documents);
    let count = args.documents.check(&columns)?;
    let collection = args.place.open()?;
    let model = args.model.open(&collection, &context.console)?;
    args.documents
        .add_to(&collection, &model, (count, &columns), true, context)
}

impl AddArgs {
    fn open(
        &self,
        place: &Place,
        context: &Context,
    ) -> Result<(Collection, SentenceEncoder), CliError> {
        let Some(name) = &self.model.model else {
            let collection = Collection::open(place).map_err(|error| match error {
                matryo_collection::CollectionError::Missing { .. } => CliError::NoModel,
                other => other.into(),
            })?;
            let model = self.model.open(&collection, &context.console)?;
            collection
                .manifest()
                .check_settings(&self.create.options())?;
            return Ok((collection, model));
        };
        let model = self.model.open_named(name, &context.console)?;
        let collection =
            Collection::open_or_create(place, &model, &lasting(name), &self.create.options())?;
        Ok((collection, model))
    }
}

/// A name under which the model is found from any folder.
fn lasting(name: &str) -> String {
    let folder = Path::new(name)
        .canonicalize()
        .ok()
        .filter(|path| path.is_dir());
    folder.map_or_else(
        || name.to_owned(),
        |path| path.to_string_lossy().into_owned(),
    )
}

impl CreateArgs {
    fn options(&self) -> CreateOptions {
        let chunking = self.chunk_tokens.map(|tokens| {
            const SHARE: usize = 8;
            Chunking {
                tokens,
                overlap: self.chunk_overlap.unwrap_or(tokens / SHARE),
            }
        });
        CreateOptions {
            dims: self.dims.clone(),
            storage: self.storage.unwrap_or_default(),
            hybrid: self.hybrid,
            language: self.language.clone(),
            chunking,
        }
    }
}

impl EmbeddingArgs {
    fn among(&self, documents: &DocumentArgs) -> DocumentColumns {
        DocumentColumns {
            embedding: self.embedding_column.clone(),
            ..documents.columns()
        }
    }
}

impl DocumentArgs {
    /// Which columns are what.
    pub fn columns(&self) -> DocumentColumns {
        DocumentColumns {
            id: self.id_column.clone(),
            text: self.text_column.clone(),
            fields: self.fields.clone(),
            embedding: None,
        }
    }

    /// Tokens that go through the model at once, if that was chosen.
    pub fn tokens_per_batch(&self) -> Option<usize> {
        self.batch_tokens.map(NonZeroUsize::get)
    }

    /// Number of documents, once all were found to be readable.
    pub fn check(&self, columns: &DocumentColumns) -> Result<usize, CliError> {
        self.files
            .iter()
            .try_fold(0, |count, file| Ok(count + check_documents(file, columns)?))
    }

    fn add_to(
        &self,
        collection: &Collection,
        model: &SentenceEncoder,
        (count, columns): (usize, &DocumentColumns),
        only_existing: bool,
        context: &Context,
    ) -> Result<Outcome, CliError> {
        let started = Instant::now();
        let watch = Watch::new("adding", count, context.console);
        let mut total = AddReport::default();
        for file in &self.files {
            let before = total.added + total.replaced + total.unchanged;
            let advance = |done: usize, _total: usize| watch.at(before + done);
            let tokens_per_batch = self.tokens_per_batch();
            let options = AddOptions {
                only_existing,
                tokens_per_batch,
                progress: Progress::new(&advance),
                ..AddOptions::default()
            };
            total = sum(total, collection.add(model, file, columns, &options)?);
        }
        watch.finish();
        report(&total, started.elapsed().as_secs_f64(), context)
    }
}

fn sum(a: AddReport, b: AddReport) -> AddReport {
    AddReport {
        added: a.added + b.added,
        replaced: a.replaced + b.replaced,
        unchanged: a.unchanged + b.unchanged,
        chunks: a.chunks + b.chunks,
        truncated: a.truncated + b.truncated,
    }
}

fn report(total: &AddReport, seconds: f64, context: &Context) -> Result<Outcome, CliError> {
    warn_truncated(total.truncated, total.chunks, &context.console);
    if context.json {
        stdout::print_json(&json!({
            "added": total.added,
            "replaced": total.replaced,
            "unchanged": total.unchanged,
            "chunks": total.chunks,
            "truncated": total.truncated,
            "seconds": seconds,
        }))?;
    } else {
        context.console.say(&format!(
            "{} added, {} replaced, {} unchanged; {} chunks written in {seconds:.1} s",
            grouped(total.added as u64),
            grouped(total.replaced as u64),
            grouped(total.unchanged as u64),
            grouped(total.chunks as u64),
        ));
    }
    Ok(Outcome::Done)
}
