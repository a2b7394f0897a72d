//! What the engines share: flags, files of numbers, a clock. The protocol is that of `bench/engines/README.md`.

// Every engine compiles this one for itself and uses a part of it.
#![allow(dead_code)]

use std::{
    collections::HashMap,
    error::Error,
    fs::File,
    io::{BufWriter, Read, Write},
    time::Instant,
};

use matryo::Mat;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// What `work` gives, and its milliseconds as text.
pub fn milliseconds<T>(work: impl FnOnce() -> T) -> (T, String) {
    let start = Instant::now();
    let done = work();
    (done, format!("{:.4}", start.elapsed().as_secs_f64() * 1e3))
}

/// Rows of f32, little-endian, one after another.
pub fn read_rows(path: &str, dim: usize) -> Outcome<Mat> {
    let mut file = File::open(path)?;
    let (mut values, mut buffer) = (
        Vec::with_capacity(file.metadata()?.len() as usize / 4),
        vec![0; 1 << 20],
    );
    while values.len() < values.capacity() {
        let len = buffer.len().min(4 * (values.capacity() - values.len()));
        file.read_exact(&mut buffer[..len])?;
        values.extend(
            buffer[..len]
                .as_chunks()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes)),
        );
    }
    Ok(Mat::from_vec(values.len() / dim, dim, values))
}

/// Numbers of four bytes each, little-endian, one after another.
pub fn write_values(path: &str, values: impl Iterator<Item = [u8; 4]>) -> Outcome<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for value in values {
        file.write_all(&value)?;
    }
    Ok(file.flush()?)
}

/// `--name value` pairs.
pub struct Flags(HashMap<String, String>);

impl Flags {
    pub fn of_process() -> Outcome<Self> {
        let (mut flags, mut arguments) = (HashMap::new(), std::env::args().skip(1));
        while let Some(name) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name}: no value"))?;
            flags.insert(name.trim_start_matches('-').to_owned(), value);
        }
        Ok(Self(flags))
    }

    pub fn text(&self, name: &str) -> Outcome<&str> {
        Ok(self
            .0
            .get(name)
            .ok_or_else(|| format!("--{name} is missing"))?)
    }

    pub fn number(&self, name: &str) -> Outcome<usize> {
        Ok(self
            .text(name)?
            .parse()
            .map_err(|error| format!("--{name}: {error}"))?)
    }
}
