//! Standard output: results only, and a reader that has gone away is no error.

use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;

use crate::error::CliError;

/// Writes results. `write` gets a buffered stdout, which is flushed afterwards.
///
/// # Errors
/// [`CliError::Stdout`]; `main` takes a broken pipe (`matryo encode ... | head -1`) for a quiet end.
pub fn print(
    write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
) -> Result<(), CliError> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out)
        .and_then(|()| out.flush())
        .map_err(CliError::Stdout)
}

/// Writes one JSON value and a line feed.
pub fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    print(|out| {
        serde_json::to_writer(&mut *out, value)?;
        out.write_all(b"\n")
    })
}
