//! The library as an engine of `bench/`: texts of a file in, times as one line of JSON out.
//!
//! Flags and output are those of `bench/engines/README.md`. The thread pool is sized by `RAYON_NUM_THREADS`.

mod common;

use std::time::Instant;

use common::{Flags, Outcome, milliseconds, write_values};
use matryo::{EncodeOptions, Encoded, Precision, SentenceEncoder};

fn main() -> Outcome<()> {
    let flags = Flags::of_process()?;
    let model = open(
        flags.text("model")?,
        flags.text("precision").unwrap_or("f32"),
    )?;
    let file = std::fs::read_to_string(flags.text("texts")?)?;
    let texts: Vec<&str> = file.lines().collect();
    let options = EncodeOptions {
        max_seq_length: Some(flags.number("max-length")?),
        ..EncodeOptions::default()
    };
    match flags.text("mode")? {
        "throughput" => throughput(&model, &texts, &options, &flags),
        "latency" => latency(&model, &texts, &options, &flags),
        other => Err(format!("--mode: throughput or latency, not {other}").into()),
    }
}

/// The one place that knows how a precision is asked for.
fn open(folder: &str, precision: &str) -> Outcome<SentenceEncoder> {
    let precision =
        Precision::named(precision).ok_or_else(|| format!("no such precision: {precision}"))?;
    Ok(SentenceEncoder::open_in(folder, precision)?)
}

/// All texts in one call, after a call with the first few.
fn throughput(
    model: &SentenceEncoder,
    texts: &[&str],
    options: &EncodeOptions<'_>,
    flags: &Flags,
) -> Outcome<()> {
    let warm_up = flags.number("warm-up")?.min(texts.len());
    model.encode_with(&texts[..warm_up], options)?;
    let start = Instant::now();
    let Encoded {
        embeddings, tokens, ..
    } = model.encode_with(texts, options)?;
    let seconds = start.elapsed().as_secs_f64();
    if let Ok(path) = flags.text("vectors") {
        write_values(
            path,
            embeddings.data().iter().map(|value| value.to_le_bytes()),
        )?;
    }
    println!(
        r#"{{"seconds": {seconds}, "texts": {}, "tokens": {tokens}}}"#,
        texts.len()
    );
    Ok(())
}

/// Many calls with the same number of texts, each timed, after some that are not.
fn latency(
    model: &SentenceEncoder,
    texts: &[&str],
    options: &EncodeOptions<'_>,
    flags: &Flags,
) -> Outcome<()> {
    let (warm_up, calls) = (flags.number("warm-up")?, flags.number("calls")?);
    let groups = texts
        .chunks_exact(flags.number("per-call")?)
        .cycle()
        .take(warm_up + calls);
    let mut times = Vec::with_capacity(warm_up + calls);
    for group in groups {
        let (encoded, time) = milliseconds(|| model.encode_with(group, options));
        encoded?;
        times.push(time);
    }
    println!(
        r#"{{"milliseconds": [{}]}}"#,
        times[warm_up.min(times.len())..].join(", ")
    );
    Ok(())
}
