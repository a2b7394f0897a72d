//! A collection on disk as an engine of `bench/search.py`: vectors of a file in, times of single queries as one line of JSON out.
//!
//! Flags and output are those of `bench/engines/README.md`, `--model` besides: a folder whose embeddings are as wide as the vectors; it
//! encodes nothing. `--folder` is where the collection goes; it is made if it is not there. `build_seconds` are those of adding and of optimizing.
//! Vectors stay in mapped files: all are read once before each measurement, as if the collection had been in use for long.

mod common;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use common::{Flags, Outcome, milliseconds, read_rows, write_values};
use matryo::{
    Mat, SentenceEncoder,
    collection::{AddOptions, Collection, CreateOptions, Place, SearchOptions, Searcher},
    data::Document,
};

/// Documents made at once.
const PART: usize = 50_000;

fn main() -> Outcome<()> {
    let flags = Flags::of_process()?;
    let model = SentenceEncoder::open(flags.text("model")?)?;
    let folder = PathBuf::from(flags.text("folder")?);
    let options = CreateOptions {
        storage: flags.text("storage").unwrap_or("float32").parse()?,
        ..Default::default()
    };
    let start = Instant::now();
    let mut collection =
        Collection::open_or_create(&Place::Folder(folder.clone()), &model, "bench", &options)?;
    if collection.info()?.points == 0 {
        fill(&collection, &model, &flags)?;
        collection.optimize()?;
    }
    let build = start.elapsed().as_secs_f64();
    let queries = read_rows(flags.text("queries")?, flags.number("dim")?)?;
    let searcher = collection.searcher(&model)?;
    let mut variants = Vec::new();
    for effort in flags.text("efforts")?.split(',') {
        read_through(&folder)?;
        variants.push(format!(
            r#""{effort}": [{}]"#,
            measure(&searcher, &queries, effort, &flags)?.join(", ")
        ));
    }
    let info = collection.info()?;
    println!(
        r#"{{"build_seconds": {build}, "bytes": {}, "variants": {{{}}}, "versions": {{"qdrant-edge": "0.7.2"}}}}"#,
        info.bytes.unwrap_or_default(),
        variants.join(", ")
    );
    Ok(())
}

/// Reads every file of a folder.
fn read_through(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_through(&path)?;
        } else {
            io::copy(&mut fs::File::open(&path)?, &mut io::sink())?;
        }
    }
    Ok(())
}

/// Each row is a document without a text, called by its number.
fn fill(collection: &Collection, model: &SentenceEncoder, flags: &Flags) -> Outcome<()> {
    let vectors = read_rows(flags.text("vectors")?, flags.number("dim")?)?;
    let document = |row: usize| Document {
        id: row.to_string(),
        text: String::new(),
        fields: Default::default(),
        embedding: Some(vectors.row(row).to_vec()),
    };
    let options = AddOptions {
        trust_embeddings: true,
        ..AddOptions::default()
    };
    for first in (0..vectors.rows()).step_by(PART) {
        let documents: Vec<_> = (first..(first + PART).min(vectors.rows()))
            .map(document)
            .collect();
        collection.add_documents(model, &documents, &options)?;
    }
    Ok(())
}

/// Every query for itself, after some that are not timed; the hits go to a file.
fn measure(
    searcher: &Searcher<'_>,
    queries: &Mat,
    effort: &str,
    flags: &Flags,
) -> Outcome<Vec<String>> {
    let options = SearchOptions {
        limit: flags.number("k")?,
        effort: Some(effort.parse()?),
        ..SearchOptions::default()
    };
    let one = |query: usize| searcher.search_embedded("", queries.row(query), &options);
    (0..flags.number("warm-up")?.min(queries.rows())).try_for_each(|query| one(query).map(drop))?;
    let (mut rows, mut times) = (Vec::new(), Vec::new());
    for query in 0..queries.rows() {
        let (found, time) = milliseconds(|| one(query));
        for found in found? {
            rows.push(found.id.parse::<u32>()?.to_le_bytes());
        }
        times.push(time);
    }
    write_values(
        &format!("{}.{effort}", flags.text("hits")?),
        rows.into_iter(),
    )?;
    Ok(times)
}
