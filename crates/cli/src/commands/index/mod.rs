//! `matryo index`: what a collection holds.

mod add;
mod delete;
mod embed;
mod info;
mod map;
mod optimize;
mod push;
mod recall;
mod watch;

use std::{env, path::PathBuf};

use clap::{Args, Subcommand};
use matryo_collection::{Collection, CollectionError, Filter, Place, Spread};
use matryo_model::SentenceEncoder;

use super::{Context, Outcome};
use crate::{
    args::{ModelArgs, PrecisionArgs},
    console::Console,
    error::CliError,
    model,
};

/// Keep documents with their embeddings, to be searched.
///
/// A collection is a folder, or with --url a name on a Qdrant server or cluster (QDRANT_API_KEY lets in).
#[derive(Debug, Args)]
pub struct IndexArgs {
    #[command(subcommand)]
    command: IndexCommand,
}

#[derive(Debug, Subcommand)]
enum IndexCommand {
    Add(add::AddArgs),
    Update(add::UpdateArgs),
    Delete(delete::DeleteArgs),
    Embed(embed::EmbedArgs),
    Info(info::InfoArgs),
    Map(map::MapArgs),
    Optimize(optimize::OptimizeArgs),
    Push(push::PushArgs),
    Recall(recall::RecallArgs),
}

/// Which collection.
#[derive(Clone, Debug, Args)]
pub struct PlaceArgs {
    /// Folder of the collection; with --url its name on the server
    #[arg(value_name = "COLLECTION")]
    collection: PathBuf,
    /// Qdrant server that holds the collection, such as http://localhost:6333
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// The model of a collection.
#[derive(Clone, Debug, Args)]
pub struct CollectionModelArgs {
    /// Folder of the model, or its name on the Hugging Face hub [default: the one the collection was made with]
    #[arg(long, short, value_name = "MODEL")]
    model: Option<String>,
    /// Branch, tag or commit on the hub [default: main]
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    #[command(flatten)]
    precision: PrecisionArgs,
}

/// Does what was asked.
pub fn run(args: &IndexArgs, context: &Context) -> Result<Outcome, CliError> {
    match &args.command {
        IndexCommand::Add(args) => add::add(args, context),
        IndexCommand::Update(args) => add::update(args, context),
        IndexCommand::Delete(args) => delete::run(args, context),
        IndexCommand::Embed(args) => embed::run(args, context),
        IndexCommand::Info(args) => info::run(args, context),
        IndexCommand::Map(args) => map::run(args, context),
        IndexCommand::Optimize(args) => optimize::run(args, context),
        IndexCommand::Push(args) => push::run(args, context),
        IndexCommand::Recall(args) => recall::run(args, context),
    }
}

impl PlaceArgs {
    /// The place; `spread` is for a collection that is made there.
    fn place(&self, spread: Spread) -> Place {
        match &self.url {
            Some(url) => on_server(url, &self.collection.to_string_lossy(), spread),
            None => Place::Folder(self.collection.clone()),
        }
    }

    /// Opens the collection.
    pub fn open(&self) -> Result<Collection, CliError> {
        Ok(Collection::open(&self.place(Spread::default()))?)
    }
}

fn on_server(url: &str, name: &str, spread: Spread) -> Place {
    let key = env::var("QDRANT_API_KEY")
        .ok()
        .filter(|key| !key.is_empty());
    Place::Server {
        url: url.to_owned(),
        name: name.to_owned(),
        key,
        spread,
    }
}

impl CollectionModelArgs {
    /// Opens the model that was named, else the one that the collection names.
    pub fn open(
        &self,
        collection: &Collection,
        console: &Console,
    ) -> Result<SentenceEncoder, CliError> {
        self.open_named(&collection.manifest().model.name, console)
    }

    fn open_named(&self, default: &str, console: &Console) -> Result<SentenceEncoder, CliError> {
        let name = self.model.as_deref().unwrap_or(default).to_owned();
        model::open(
            &ModelArgs {
                model: name,
                revision: self.revision.clone(),
            },
            self.precision,
            console,
        )
    }
}

/// Reads a filter.
pub fn filter(text: &str) -> Result<Filter, CliError> {
    text.parse()
        .map_err(|error| CliError::from(CollectionError::Filter(error)))
}
