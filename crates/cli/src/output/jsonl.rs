//! One embedding a line: a bare JSON array, or an object with its text.

use std::io::{self, Write};

use matryo_model::Quantized;
use serde::Serialize;

use super::values::{self, Row};

#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    embedding: Row<'a>,
}

/// `[0.1, ...]` a line.
pub fn write_arrays(out: &mut impl Write, embeddings: &Quantized) -> io::Result<()> {
    let (rows, _) = values::shape(embeddings);
    (0..rows).try_for_each(|i| write_line(out, &values::row(embeddings, i)))
}

/// `{"text": "...", "embedding": [0.1, ...]}` a line.
pub fn write_objects(
    out: &mut impl Write,
    texts: &[String],
    embeddings: &Quantized,
) -> io::Result<()> {
    let lines = texts.iter().enumerate();
    lines.into_iter().try_for_each(|(i, text)| {
        write_line(
            out,
            &Line {
                text,
                embedding: values::row(embeddings, i),
            },
        )
    })
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}
