//! Exact search as an engine of `bench/search.py`: vectors of a file in, times of single queries as one line of JSON out.
//!
//! Flags and output are those of `bench/engines/README.md`. The thread pool is sized by `RAYON_NUM_THREADS`. Vectors have length 1.

use std::{
    collections::HashMap,
    error::Error,
    fs::File,
    io::{BufWriter, Read, Write},
    time::Instant,
};

use matryo_index::{FlatIndex, Funnel, Hit, Mat, MatRef, Metric, Rescore, Storage};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let flags = Flags::parse(std::env::args().skip(1))?;
    let dim = flags.number("dim")?;
    let (vectors, queries) = (read_rows(flags.text("vectors")?, dim)?, read_rows(flags.text("queries")?, dim)?);
    let storage: Storage = flags.text("storage").unwrap_or("float32").parse()?;
    let start = Instant::now();
    let engine = match flags.text("method")? {
        "flat" => Engine::flat(vectors.view(), storage, &flags)?,
        "funnel" => {
            Engine::Funnel(Funnel::new(vectors.view(), flags.text("stages")?.parse()?, storage, Metric::Cosine)?)
        }
        other => return Err(format!("--method: flat or funnel, not {other}").into()),
    };
    let build = start.elapsed().as_secs_f64();
    let (hits, times) = measure(&engine, &queries, flags.number("warm-up")?);
    write_hits(flags.text("hits")?, &hits)?;
    let batch = Instant::now();
    engine.search(queries.view());
    let batch = batch.elapsed().as_secs_f64();
    println!(
        r#"{{"build_seconds": {build}, "bytes": {}, "batch_seconds": {batch}, "milliseconds": [{}]}}"#,
        engine.bytes(),
        times.join(", ")
    );
    Ok(())
}

enum Engine<'a> {
    Flat { index: FlatIndex<'a>, k: usize, rescore: Option<Rescore<'a>> },
    Funnel(Funnel<'a>),
}

impl<'a> Engine<'a> {
    /// Rescored with the floats if there is a multiplier.
    fn flat(vectors: MatRef<'a>, storage: Storage, flags: &Flags) -> Outcome<Self> {
        let index = FlatIndex::new(vectors, storage, Metric::Dot);
        let rescore = match flags.text("multiplier") {
            Ok(_) => Some(Rescore { multiplier: flags.number("multiplier")?, vectors: Some(vectors) }),
            Err(_) => None,
        };
        Ok(Self::Flat { index, k: flags.number("k")?, rescore })
    }

    fn search(&self, queries: MatRef<'_>) -> Vec<Vec<Hit>> {
        match self {
            Self::Flat { index, k, rescore: Some(rescore) } => index.search_rescored(queries, *k, *rescore),
            Self::Flat { index, k, rescore: None } => index.search(queries, *k),
            Self::Funnel(funnel) => funnel.search(queries),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Flat { index, .. } => index.bytes(),
            Self::Funnel(funnel) => funnel.bytes(),
        }
    }
}

/// Every query for itself, after some that are not timed.
fn measure(engine: &Engine<'_>, queries: &Mat, warm_up: usize) -> (Vec<Vec<Hit>>, Vec<String>) {
    let one = |query: usize| engine.search(queries.view().row_range(query, query + 1)).remove(0);
    (0..warm_up.min(queries.rows())).for_each(|query| _ = one(query));
    let timed = (0..queries.rows()).map(|query| {
        let start = Instant::now();
        let hits = one(query);
        (hits, format!("{:.4}", start.elapsed().as_secs_f64() * 1e3))
    });
    timed.unzip()
}

/// Rows of f32, little-endian, one after another.
fn read_rows(path: &str, dim: usize) -> Outcome<Mat> {
    let mut file = File::open(path)?;
    let (mut values, mut buffer) = (Vec::with_capacity(file.metadata()?.len() as usize / 4), vec![0; 1 << 20]);
    while values.len() < values.capacity() {
        let len = buffer.len().min(4 * (values.capacity() - values.len()));
        file.read_exact(&mut buffer[..len])?;
        values.extend(buffer[..len].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
    }
    Ok(Mat::from_vec(values.len() / dim, dim, values))
}

/// Row numbers of u32, little-endian, the hits of one query after those of another.
fn write_hits(path: &str, hits: &[Vec<Hit>]) -> Outcome<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for hit in hits.iter().flatten() {
        file.write_all(&(hit.row as u32).to_le_bytes())?;
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
