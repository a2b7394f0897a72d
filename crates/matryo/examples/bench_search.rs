//! Exact search as an engine of `bench/search.py`: vectors of a file in, times of single queries as one line of JSON out.
//!
//! Flags and output are those of `bench/engines/README.md`. The thread pool is sized by `RAYON_NUM_THREADS`. Vectors have length 1.

mod common;

use std::time::Instant;

use common::{Flags, Outcome, milliseconds, read_rows, write_values};
use matryo::{
    FlatIndex, Funnel, Metric, Storage,
    index::{Hit, Mat, MatRef, Rescore},
};

fn main() -> Outcome<()> {
    let flags = Flags::of_process()?;
    let dim = flags.number("dim")?;
    let (vectors, queries) = (
        read_rows(flags.text("vectors")?, dim)?,
        read_rows(flags.text("queries")?, dim)?,
    );
    let storage: Storage = flags.text("storage").unwrap_or("float32").parse()?;
    let start = Instant::now();
    let engine = match flags.text("method")? {
        "flat" => Engine::flat(vectors.view(), storage, &flags)?,
        "funnel" => Engine::Funnel(Funnel::new(
            vectors.view(),
            flags.text("stages")?.parse()?,
            storage,
            Metric::Cosine,
        )?),
        other => return Err(format!("--method: flat or funnel, not {other}").into()),
    };
    let build = start.elapsed().as_secs_f64();
    let (hits, times) = measure(&engine, &queries, flags.number("warm-up")?);
    write_values(
        flags.text("hits")?,
        hits.iter()
            .flatten()
            .map(|hit| (hit.row as u32).to_le_bytes()),
    )?;
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
    Flat {
        index: FlatIndex<'a>,
        k: usize,
        rescore: Option<Rescore<'a>>,
    },
    Funnel(Funnel<'a>),
}

impl<'a> Engine<'a> {
    /// Rescored with the floats if there is a multiplier.
    fn flat(vectors: MatRef<'a>, storage: Storage, flags: &Flags) -> Outcome<Self> {
        let index = FlatIndex::new(vectors, storage, Metric::Dot);
        let rescore = match flags.text("multiplier") {
            Ok(_) => Some(Rescore {
                multiplier: flags.number("multiplier")?,
                vectors: Some(vectors),
            }),
            Err(_) => None,
        };
        Ok(Self::Flat {
            index,
            k: flags.number("k")?,
            rescore,
        })
    }

    fn search(&self, queries: MatRef<'_>) -> Vec<Vec<Hit>> {
        match self {
            Self::Flat {
                index,
                k,
                rescore: Some(rescore),
            } => index.search_rescored(queries, *k, *rescore),
            Self::Flat {
                index,
                k,
                rescore: None,
            } => index.search(queries, *k),
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
    let one = |query: usize| {
        engine
            .search(queries.view().row_range(query, query + 1))
            .remove(0)
    };
    (0..warm_up.min(queries.rows())).for_each(|query| _ = one(query));
    (0..queries.rows())
        .map(|query| milliseconds(|| one(query)))
        .unzip()
}
