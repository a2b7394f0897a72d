//! candle as an engine of `bench/`: BERT in f32, padded batches of similar lengths, mean pooling, unit rows.
//!
//! Flags and output are those of `bench/engines/README.md`. The thread pool is sized by `RAYON_NUM_THREADS`.

use std::{
    collections::HashMap,
    error::Error,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config, DTYPE};
use tokenizers::{Tokenizer, TruncationParams};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let flags = Flags::parse(std::env::args().skip(1))?;
    let encoder = Encoder::open(Path::new(flags.text("model")?), &flags)?;
    let file = std::fs::read_to_string(flags.text("texts")?)?;
    let texts: Vec<&str> = file.lines().collect();
    match flags.text("mode")? {
        "throughput" => throughput(&encoder, &texts, &flags),
        "latency" => latency(&encoder, &texts, &flags),
        other => Err(format!("--mode: throughput or latency, not {other}").into()),
    }
}

struct Encoder {
    tokenizer: Tokenizer,
    bert: BertModel,
    batch: usize,
}

impl Encoder {
    fn open(folder: &Path, flags: &Flags) -> Outcome<Self> {
        let mut tokenizer = Tokenizer::from_file(folder.join("tokenizer.json"))?;
        let max_length = flags.number("max-length")?;
        tokenizer.with_truncation(Some(TruncationParams { max_length, ..TruncationParams::default() }))?;
        tokenizer.with_padding(None);
        let config: Config = serde_json::from_str(&std::fs::read_to_string(folder.join("config.json"))?)?;
        let weights = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu)?;
        let bert = BertModel::load(VarBuilder::from_tensors(weights, DTYPE, &Device::Cpu), &config)?;
        Ok(Self { tokenizer, bert, batch: flags.number("batch")? })
    }

    /// Rows in the order of `texts`, and the number of tokens.
    fn encode(&self, texts: &[&str]) -> Outcome<(Vec<Vec<f32>>, usize)> {
        let encodings = self.tokenizer.encode_batch(texts.to_vec(), true)?;
        let ids: Vec<&[u32]> = encodings.iter().map(|encoding| encoding.get_ids()).collect();
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&place| std::cmp::Reverse(ids[place].len()));
        let mut rows = vec![Vec::new(); texts.len()];
        for places in order.chunks(self.batch) {
            let batch: Vec<&[u32]> = places.iter().map(|&place| ids[place]).collect();
            for (&place, row) in places.iter().zip(self.embed(&batch)?) {
                rows[place] = row;
            }
        }
        Ok((rows, ids.iter().map(|ids| ids.len()).sum()))
    }

    fn embed(&self, ids: &[&[u32]]) -> Outcome<Vec<Vec<f32>>> {
        let width = ids.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let padded = |value: &dyn Fn(u32) -> u32| -> Outcome<Tensor> {
            let cell = |ids: &[u32], place: usize| ids.get(place).map_or(0, |&id| value(id));
            let cells: Vec<u32> = ids.iter().flat_map(|ids| (0..width).map(|place| cell(ids, place))).collect();
            Ok(Tensor::from_vec(cells, (ids.len(), width), &Device::Cpu)?)
        };
        let (tokens, mask) = (padded(&|id| id)?, padded(&|_| 1)?);
        let hidden = self.bert.forward(&tokens, &tokens.zeros_like()?, Some(&mask))?;
        let mask = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
        let pooled = hidden.broadcast_mul(&mask)?.sum(1)?.broadcast_div(&mask.sum(1)?)?;
        let unit = pooled.broadcast_div(&pooled.sqr()?.sum_keepdim(1)?.sqrt()?)?;
        Ok(unit.to_vec2()?)
    }
}

/// All texts in one call, after a call with the first few.
fn throughput(encoder: &Encoder, texts: &[&str], flags: &Flags) -> Outcome<()> {
    let warm_up = flags.number("warm-up")?.min(texts.len());
    encoder.encode(&texts[..warm_up])?;
    let start = Instant::now();
    let (rows, tokens) = encoder.encode(texts)?;
    let seconds = start.elapsed().as_secs_f64();
    if let Ok(path) = flags.text("vectors") {
        write_rows(path, &rows)?;
    }
    println!(r#"{{"seconds": {seconds}, "texts": {}, "tokens": {tokens}}}"#, texts.len());
    Ok(())
}

/// Many calls with the same number of texts, each timed, after some that are not.
fn latency(encoder: &Encoder, texts: &[&str], flags: &Flags) -> Outcome<()> {
    let (warm_up, calls) = (flags.number("warm-up")?, flags.number("calls")?);
    let groups = texts.chunks_exact(flags.number("per-call")?).cycle().take(warm_up + calls);
    let mut times = Vec::with_capacity(warm_up + calls);
    for group in groups {
        let start = Instant::now();
        encoder.encode(group)?;
        times.push(format!("{:.4}", start.elapsed().as_secs_f64() * 1e3));
    }
    println!(r#"{{"milliseconds": [{}]}}"#, times[warm_up.min(times.len())..].join(", "));
    Ok(())
}

/// Rows of f32, little-endian, one after another.
fn write_rows(path: &str, rows: &[Vec<f32>]) -> Outcome<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for value in rows.iter().flatten() {
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
