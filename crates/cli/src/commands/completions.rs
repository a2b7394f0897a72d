//! `matryo completions`: completions for a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Outcome;
use crate::{args::Cli, error::CliError, stdout};

/// Print completions for a shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completions.
pub fn run(args: &CompletionsArgs) -> Result<Outcome, CliError> {
    // The generator panics when its writer fails, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "matryo", &mut script);
    stdout::print(|out| std::io::Write::write_all(out, &script))?;
    Ok(Outcome::Done)
}
