//! From what the user calls a model to a model: a folder or a hub name, with a bar while it is fetched.

use std::path::PathBuf;

use matryo_base::Progress;
use matryo_model::{EncodeOptions, Encoded, HubOptions, SentenceEncoder};

use crate::{
    args::{ModelArgs, PrecisionArgs},
    console::Console,
    error::CliError,
    progress::{self, download::DownloadBar},
    watched::warn_truncated,
};

/// The bar of texts being encoded.
pub const ENCODING: &str = "encoding {bar:24} {pos}/{len} texts, {eta} left";

/// Opens a model and tells what was assumed about it.
pub fn open(
    args: &ModelArgs,
    precision: PrecisionArgs,
    console: &Console,
) -> Result<SentenceEncoder, CliError> {
    let mut model = open_silently(args, precision, console)?;
    model
        .folder()
        .notes
        .iter()
        .for_each(|note| console.note(note));
    let console = *console;
    model.on_missing_prompt(move |expected| console.warn(&expected.note()));
    Ok(model)
}

/// Opens a model.
pub fn open_silently(
    args: &ModelArgs,
    PrecisionArgs { precision }: PrecisionArgs,
    console: &Console,
) -> Result<SentenceEncoder, CliError> {
    Ok(SentenceEncoder::open_on(
        resolve(args, console)?,
        matryo_ops::cpu_in(precision),
    )?)
}

/// The folder of a model, downloaded if need be.
pub fn resolve(args: &ModelArgs, console: &Console) -> Result<PathBuf, CliError> {
    let options = HubOptions {
        revision: args.revision.clone(),
        ..HubOptions::from_env()
    };
    Ok(matryo_model::resolve(
        &args.model,
        &options,
        &DownloadBar::new(*console),
    )?)
}

/// Embeds texts under a bar, and tells how many of them were cut.
pub fn encode(
    model: &SentenceEncoder,
    texts: &[String],
    options: EncodeOptions<'_>,
    console: &Console,
) -> Result<Encoded, CliError> {
    let bar = progress::bar(console, texts.len() as u64, ENCODING);
    let advance = |done: usize, _total: usize| bar.set_position(done as u64);
    let encoded = model.encode_with(
        texts,
        &EncodeOptions {
            progress: Progress::new(&advance),
            ..options
        },
    );
    bar.finish_and_clear();
    let encoded = encoded?;
    warn_truncated(encoded.truncated, texts.len(), console);
    Ok(encoded)
}
