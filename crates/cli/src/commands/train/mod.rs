//! `matryo train`: fine-tune a model.

mod bar;
mod events;
mod flags;
mod plan;

use matryo_model::HubProgress;
use matryo_train::{Observer, TrainConfig, TrainOutcome, Trainer, events::Silent};

pub use flags::{TrainArgs, set_aside};

use super::{Context, Outcome};
use crate::{console::Console, error::CliError, progress::download::DownloadBar, stdout};

/// Trains, and prints where the model is.
pub fn run(args: &TrainArgs, context: &Context) -> Result<Outcome, CliError> {
    let config = TrainConfig::load(args.config.as_deref(), &args.overrides)?;
    let (downloads, mut observer) = listeners(context.console);
    let outcome = Trainer::with_progress(config, &*downloads)?.run(&mut *observer)?;
    print_outcome(&outcome, context.json)?;
    Ok(Outcome::Done)
}

/// Who hears of downloads and of the run: a bar on a terminal, else JSON lines on stderr.
fn listeners(console: Console) -> (Box<dyn HubProgress>, Box<dyn Observer>) {
    match (console.quiet(), console.shows_bars()) {
        (true, _) => (Box::new(()), Box::new(Silent)),
        (false, true) => (
            Box::new(DownloadBar::new(console)),
            Box::new(bar::TrainBar::new(console)),
        ),
        (false, false) => (
            Box::new(events::JsonDownloads),
            Box::new(events::JsonLines::new(std::io::stderr())),
        ),
    }
}

fn print_outcome(outcome: &TrainOutcome, json: bool) -> Result<(), CliError> {
    if json {
        return stdout::print_json(&events::done(outcome));
    }
    stdout::print(|out| {
        std::io::Write::write_fmt(out, format_args!("{}\n", outcome.output_dir.display()))
    })
}
