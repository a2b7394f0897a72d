//! hannoy, HNSW on LMDB, as an engine of `bench/search.py`. Flags and output: `bench/engines/README.md`.

use std::{
    collections::HashMap,
    error::Error,
    fs::File,
    io::{Read, Write},
    time::Instant,
};

use hannoy::{Database, Reader, Writer, distances::Cosine};
use heed::{Env, EnvOpenOptions, RoTxn};
use rand::{SeedableRng, rngs::StdRng};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Links a node, and in the lowest layer.
const LINKS: usize = 16;
const LOWEST: usize = 32;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flags: HashMap<&str, &str> =
        arguments.chunks(2).map(|pair| (pair[0].trim_start_matches("--"), pair[1].as_str())).collect();
    let number = |name: &str| -> Outcome<usize> { Ok(flags[name].parse()?) };
    assert_eq!(number("links")?, LINKS, "--links is fixed when this is compiled");
    let (dim, k) = (number("dim")?, number("k")?);
    let (vectors, queries) = (read(flags["vectors"])?, read(flags["queries"])?);

    let folder = tempfile::tempdir()?;
    // SAFETY: a folder of its own, which no other process opens.
    let env: Env = unsafe { EnvOpenOptions::new().map_size(16 << 30).open(folder.path())? };
    let start = Instant::now();
    let database = build(&env, &vectors, dim, number("build-effort")?)?;
    let seconds = start.elapsed().as_secs_f64();
    drop(vectors);

    let transaction = env.read_txn()?;
    let reader = Reader::<Cosine>::open(&transaction, 0, database)?;
    let mut variants = Vec::new();
    for effort in flags["efforts"].split(',') {
        let one = |query: &[f32]| search(&reader, &transaction, query, k, effort.parse()?);
        for query in queries.chunks(dim).take(number("warm-up")?) {
            one(query)?;
        }
        let (mut times, mut hits) = (Vec::new(), Vec::new());
        for query in queries.chunks(dim) {
            let start = Instant::now();
            let found = one(query)?;
            times.push(format!("{:.4}", start.elapsed().as_secs_f64() * 1e3));
            hits.extend(found.iter().flat_map(|row| row.to_le_bytes()));
        }
        File::create(format!("{}.{effort}", flags["hits"]))?.write_all(&hits)?;
        variants.push(format!(r#""{effort}": [{}]"#, times.join(", ")));
    }
    let bytes = env.real_disk_size()?;
    println!(
        r#"{{"build_seconds": {seconds}, "bytes": {bytes}, "variants": {{{}}}, "versions": {{"hannoy": "0.1.3"}}}}"#,
        variants.join(", ")
    );
    Ok(())
}

/// Two transactions: in that which wrote them, every look at a vector goes through the list of pages not yet committed.
fn build(env: &Env, vectors: &[f32], dim: usize, effort: usize) -> Outcome<Database<Cosine>> {
    let mut transaction = env.write_txn()?;
    let database: Database<Cosine> = env.create_database(&mut transaction, None)?;
    let writer = Writer::<Cosine>::new(database, 0, dim);
    for (row, vector) in (0..).zip(vectors.chunks(dim)) {
        writer.add_item(&mut transaction, row, vector)?;
    }
    transaction.commit()?;

    let mut transaction = env.write_txn()?;
    let mut random = StdRng::seed_from_u64(7);
    writer.builder(&mut random).ef_construction(effort).build::<LINKS, LOWEST>(&mut transaction)?;
    transaction.commit()?;
    Ok(database)
}

fn search(
    reader: &Reader<Cosine>,
    transaction: &RoTxn<'_>,
    query: &[f32],
    k: usize,
    effort: usize,
) -> Outcome<Vec<u32>> {
    let found = reader.nns(k).ef_search(effort).by_vector(transaction, query)?.into_nns();
    Ok(found.into_iter().map(|(row, _)| row).collect())
}

/// f32, little-endian.
fn read(path: &str) -> Outcome<Vec<f32>> {
    let mut file = File::open(path)?;
    let count = file.metadata()?.len() as usize / 4;
    let (mut values, mut buffer) = (Vec::with_capacity(count), vec![0; 1 << 20]);
    while values.len() < count {
        let len = buffer.len().min(4 * (count - values.len()));
        file.read_exact(&mut buffer[..len])?;
        values.extend(buffer[..len].as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)));
    }
    Ok(values)
}
