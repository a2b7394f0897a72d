//! One file per command.

pub mod card;
pub mod classify;
pub mod cluster;
pub mod completions;
pub mod convert;
pub mod distill;
pub mod duplicates;
pub mod encode;
pub mod eval;
#[cfg(feature = "collections")]
pub mod index;
pub mod info;
pub mod man;
pub mod mine;
pub mod save;
#[cfg(feature = "collections")]
pub mod search;
pub mod similarity;
pub mod sts;
pub mod train;

use crate::{args::Command, console::Console, error::CliError};

/// What every command is given.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Where messages go.
    pub console: Console,
    /// Whether results are JSON.
    pub json: bool,
}

/// How a command that ran through ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// It did, and the answer is no.
    Negative,
}

/// Runs a command.
pub fn run(command: &Command, context: &Context) -> Result<Outcome, CliError> {
    match command {
        Command::Train(args) => train::run(args, context),
        Command::Eval(args) => eval::run(args, context),
        Command::Encode(args) => encode::run(args, context),
        Command::Similarity(args) => similarity::run(args, context),
        Command::Classify(args) => classify::run(args, context),
        Command::Sts(args) => sts::run(args, context),
        Command::Mine(args) => mine::run(args, context),
        Command::Duplicates(args) => duplicates::run(args, context),
        Command::Cluster(args) => cluster::run(args, context),
        Command::Info(args) => info::run(args, context),
        Command::Card(args) => card::run(args, context),
        #[cfg(feature = "collections")]
        Command::Index(args) => index::run(args, context),
        #[cfg(feature = "collections")]
        Command::Search(args) => search::run(args, context),
        Command::Save(args) => save::run(args, context),
        Command::Distill(args) => distill::run(args, context),
        Command::Convert(args) => convert::run(args, context),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}
