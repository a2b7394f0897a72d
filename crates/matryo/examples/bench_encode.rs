//! The library as an engine of `bench/`: texts of a file in, times as one line of JSON out.
//!
//! Flags and output are those of `bench/engines/README.md`. The thread pool is sized by `RAYON_NUM_THREADS`.

use std::{
    collections::HashMap,
    error::Error,
    fs::File,
    io::{BufWriter, Write},
    time::Instant,
};

use matryo::{EncodeOptions, Encoded, Mat, Precision, SentenceEncoder};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let flags = Flags::parse(std::env::args().skip(1))?;
    let model = open(flags.text("model")?, flags.text("precision").unwrap_or("f32"))?;
    let file = std::fs::read_to_string(flags.text("texts")?)?;
    let texts: Vec<&str> = file.lines().collect();
    let options = EncodeOptions { max_seq_length: Some(flags.number("max-length")?), ..EncodeOptions::default() };
    match flags.text("mode")? {
        "throughput" => throughput(&model, &texts, &options, &flags),
        "latency" => latency(&model, &texts, &options, &flags),
        other => Err(format!("--mode: throughput or latency, not {other}").into()),
    }
}

/// The one place that knows how a precision is asked for.
fn open(folder: &str, precision: &str) -> Outcome<SentenceEncoder> {
    let precision = Precision::named(precision).ok_or_else(|| format!("no such precision: {precision}"))?;
    Ok(SentenceEncoder::open_in(folder, precision)?)
}

/// All texts in one call, after a call with the first few.
fn throughput(model: &SentenceEncoder, texts: &[&str], options: &EncodeOptions<'_>, flags: &Flags) -> Outcome<()> {
    let warm_up = flags.number("warm-up")?.min(texts.len());
    model.encode_with(&texts[..warm_up], options)?;
    let start = Instant::now();
    let Encoded { embeddings, tokens, .. } = model.encode_with(texts, options)?;
    let seconds = start.elapsed().as_secs_f64();
    if let Ok(path) = flags.text("vectors") {
        write_rows(path, &embeddings)?;
    }
    println!(r#"{{"seconds": {seconds}, "texts": {}, "tokens": {tokens}}}"#, texts.len());
    Ok(())
}

/// Many calls with the same number of texts, each timed, after some that are not.
fn latency(model: &SentenceEncoder, texts: &[&str], options: &EncodeOptions<'_>, flags: &Flags) -> Outcome<()> {
    let (warm_up, calls) = (flags.number("warm-up")?, flags.number("calls")?);
    let groups = texts.chunks_exact(flags.number("per-call")?).cycle().take(warm_up + calls);
    let mut times = Vec::with_capacity(warm_up + calls);
    for group in groups {
        let start = Instant::now();
        model.encode_with(group, options)?;
        times.push(format!("{:.4}", start.elapsed().as_secs_f64() * 1e3));
    }
    println!(r#"{{"milliseconds": [{}]}}"#, times[warm_up.min(times.len())..].join(", "));
    Ok(())
}

/// Rows of f32, little-endian, one after another.
fn write_rows(path: &str, rows: &Mat) -> Outcome<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for value in rows.data() {
        file.write_all(&value.to_le_bytes())?;
    }
    Ok(file.flush()?)
}

/// `--name value` pairs.
struct Flags(HashMap<String, String>);

impl Flags {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut flags = HashMap::new();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name}: no value"))?;
            flags.insert(name.trim_start_matches('-').to_owned(), value);
        }
        Ok(Self(flags))
    }

    fn text(&self, name: &str) -> Outcome<&str> {
        Ok(self.0.get(name).ok_or_else(|| format!("--{name} is missing"))?)
    }

    fn number(&self, name: &str) -> Outcome<usize> {
        Ok(self.text(name)?.parse().map_err(|error| format!("--{name}: {error}"))?)
    }
}
