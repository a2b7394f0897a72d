//! `matryo encode`: texts to embeddings.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use matryo_model::{EncodeOptions, Encoded, Quantization, Quantized, quantize};
use matryo_ops::Precision;
use serde_json::{Value, json};

use super::{Context, Outcome};
use crate::{
    args::{EncodingArgs, ModelArgs, PrecisionArgs, quantization_parser},
    error::CliError,
    model,
    output::{self, Format, jsonl, values},
    progress::grouped,
    stdout,
    texts::{self, TextArgs},
};

/// Turn texts into embeddings.
///
/// Texts are arguments, a file (.txt, .jsonl, .csv, .tsv, .parquet), or lines of standard input. Embeddings go to
/// --output, or to standard output as JSON arrays, one a line (with --json as objects with their text). How many texts
/// were too long and cut is told on standard error. With --output and --json, a report goes to standard output: count,
/// dim, quantize, precision, tokens, truncated, seconds, tokens_per_second, output.
#[derive(Debug, Args)]
pub struct EncodeArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    texts: TextArgs,
    /// File to write: .npy, .jsonl, .parquet or .safetensors
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    encoding: EncodingArgs,
    /// Scale embeddings to length 1
    #[arg(long)]
    normalize: bool,
    /// Type of the values; int8 and uint8 lay 256 steps between the least and the greatest value of each column of
    /// this very input, binary and ubinary keep the signs, eight to a byte
    #[arg(long, default_value = "float32", value_name = "TYPE", value_parser = quantization_parser())]
    quantize: Quantization,
    #[command(flatten)]
    precision: PrecisionArgs,
}

/// Fewer rows than this leave the ranges of `int8` to chance; upstream warns below it too.
const ROWS_FOR_RANGES: usize = 100;

/// What encoding cost.
struct Cost {
    texts: usize,
    tokens: u64,
    truncated: usize,
    seconds: f64,
}

/// Encodes and writes.
pub fn run(args: &EncodeArgs, context: &Context) -> Result<Outcome, CliError> {
    let target = args.output.as_deref().map(check_target).transpose()?;
    let texts = texts::gather(&args.texts)?;
    let model = model::open(&args.model, args.precision, &context.console)?;
    let options = EncodeOptions {
        normalize: args.normalize,
        ..args.encoding.options()
    };
    let started = Instant::now();
    let encoded = model::encode(&model, &texts, options, &context.console)?;
    let cost = Cost::new(&texts, &encoded, started.elapsed());
    if args.quantize.needs_ranges() && texts.len() < ROWS_FOR_RANGES {
        context.console.warn(&format!(
            "{} takes its ranges from only {} texts",
            args.quantize,
            texts.len()
        ));
    }
    let embeddings = quantize(encoded.embeddings, args.quantize, None);
    cost.say(context);
    match target {
        Some((path, format)) => {
            output::write(path, format, &texts, &embeddings)?;
            if context.json {
                let precision = model.network().ops().precision();
                stdout::print_json(&report(path, &embeddings, args.quantize, precision, &cost))?;
            } else {
                context.console.say(&format!("wrote {}", path.display()));
            }
        }
        None if context.json => {
            stdout::print(|out| jsonl::write_objects(out, &texts, &embeddings))?
        }
        None => stdout::print(|out| jsonl::write_arrays(out, &embeddings))?,
    }
    Ok(Outcome::Done)
}

/// What can be known of the output before any work.
fn check_target(path: &Path) -> Result<(&Path, Format), CliError> {
    let format = Format::of(path)?;
    output::check_folder(path)?;
    Ok((path, format))
}

/// The report of a file, for scripts.
fn report(
    path: &Path,
    embeddings: &Quantized,
    quantization: Quantization,
    precision: Precision,
    cost: &Cost,
) -> Value {
    json!({
        "count": cost.texts,
        "dim": values::shape(embeddings).1,
        "quantize": quantization.name(),
        "precision": precision.name(),
        "tokens": cost.tokens,
        "truncated": cost.truncated,
        "seconds": cost.seconds,
        "tokens_per_second": cost.rate(),
        "output": path,
    })
}

impl Cost {
    fn new(texts: &[String], encoded: &Encoded, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        Self {
            texts: texts.len(),
            tokens: encoded.tokens,
            truncated: encoded.truncated,
            seconds,
        }
    }

    fn rate(&self) -> f64 {
        self.tokens as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    fn say(&self, context: &Context) {
        context.console.say(&format!(
            "{} texts ({} truncated), {} tokens in {:.2} s, {} tokens/s",
            grouped(self.texts as u64),
            grouped(self.truncated as u64),
            grouped(self.tokens),
            self.seconds,
            grouped(self.rate() as u64)
        ));
    }
}
