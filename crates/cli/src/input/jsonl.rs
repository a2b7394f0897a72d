//! A line an embedding: a list of numbers, or an object with one as `embedding` and maybe the `text`.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use matryo_base::FileError;
use serde::Deserialize;

use super::{InputError, Rows, Stored};

#[derive(Deserialize)]
struct Line {
    text: Option<String>,
    embedding: Vec<f32>,
}

pub fn read(path: &Path) -> Result<Stored, InputError> {
    let failed = FileError::new("read", path);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let (mut rows, mut texts) = (Rows::default(), Vec::new());
    let (mut bytes, mut line) = (Vec::new(), 0);
    while file.read_until(b'\n', &mut bytes).map_err(failed)? > 0 {
        line += 1;
        if !bytes.trim_ascii().is_empty() {
            let found = parse(&bytes).map_err(|source| InputError::Json {
                path: path.to_owned(),
                line,
                source,
            })?;
            rows.push(path, &found.embedding)?;
            texts.extend(found.text);
        }
        bytes.clear();
    }
    if !texts.is_empty() && texts.len() != rows.rows {
        return Err(InputError::Null {
            path: path.to_owned(),
            row: texts.len() + 1,
            what: "`text`, as others have",
        });
    }
    rows.stored(path, (!texts.is_empty()).then_some(texts))
}

fn parse(line: &[u8]) -> serde_json::Result<Line> {
    if line.trim_ascii_start().starts_with(b"[") {
        return Ok(Line {
            text: None,
            embedding: serde_json::from_slice(line)?,
        });
    }
    serde_json::from_slice(line)
}
