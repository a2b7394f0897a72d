//! The `matryo` command.

mod args;
mod commands;
mod console;
mod embedded;
mod error;
mod input;
mod metrics;
mod model;
mod output;
mod progress;
mod requirement;
mod stdout;
mod table;
mod texts;
mod watched;

use std::{num::NonZeroUsize, process::ExitCode};

use args::Cli;
use commands::{Context, Outcome};
use console::Console;
use error::CliError;

fn main() -> ExitCode {
    console::install_panic_hook();
    let cli = Cli::of(std::env::args_os());
    let console = Console::new(cli.global.quiet, cli.global.color);
    let context = Context {
        console,
        json: cli.global.json,
    };
    let outcome =
        size_pool(cli.global.threads).and_then(|()| commands::run(&cli.command, &context));
    exit_code(&console, outcome)
}

/// 0 done, 1 a negative answer, 2 an error.
fn exit_code(console: &Console, outcome: Result<Outcome, CliError>) -> ExitCode {
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Negative) => ExitCode::from(1),
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            console.error(&error, error.hint().as_deref());
            ExitCode::from(2)
        }
    }
}

/// Sets the number of threads of everything that follows; without a number, rayon takes all cores.
fn size_pool(threads: Option<NonZeroUsize>) -> Result<(), CliError> {
    let Some(threads) = threads.map(NonZeroUsize::get) else {
        return Ok(());
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global();
    pool.map_err(|source| CliError::Threads { threads, source })
}
