//! Lines of UTF-8 text, counted.

use std::io::BufRead;
use std::path::Path;

use super::Source;
use crate::error::DataError;
use crate::location::{Location, Place};

/// Reads a line at a time into one buffer.
pub(crate) struct Lines<'a> {
    source: Source<'a>,
    buffer: Vec<u8>,
    number: u64,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(source: Source<'a>) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            number: 0,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.source.path()
    }

    /// The next line without its end (`\n` or `\r\n`; a byte order mark at the start of the file is dropped as well).
    pub(crate) fn next(&mut self) -> Result<Option<(Place, &str)>, DataError> {
        self.buffer.clear();
        let length = self.source.bytes.read_until(b'\n', &mut self.buffer);
        if length.map_err(|error| self.source.error(error))? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let place = Place::Line(self.number);
        let line = trim_end(&self.buffer);
        let within = || "the line".to_owned();
        let text = utf8(line, || (Location::at(self.source.path(), place), within()))?;
        let marked = if self.number == 1 {
            text.strip_prefix('\u{feff}')
        } else {
            None
        };
        Ok(Some((place, marked.unwrap_or(text))))
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The bytes as text, or the error that says which byte is wrong; `place` gives its location and what it lies within.
pub(crate) fn utf8(
    bytes: &[u8],
    place: impl FnOnce() -> (Location, String),
) -> Result<&str, DataError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let (at, within) = place();
        let index = error.valid_up_to();
        DataError::NotUtf8 {
            at,
            within,
            byte: index + 1,
            value: bytes[index],
        }
    })
}
