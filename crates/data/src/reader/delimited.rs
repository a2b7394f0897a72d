//! CSV and TSV with a header, quoted as in RFC 4180. An empty field is an empty text, not a null.

use std::io::Read;
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::lines::utf8;
use super::{Cell, Source, Visitor};
use crate::error::DataError;
use crate::location::{Location, Place};

pub(super) fn read(
    source: Source<'_>,
    separator: u8,
    visitor: &mut dyn Visitor,
) -> Result<(), DataError> {
    let path = source.path().to_path_buf();
    let counted = QuoteParity {
        inner: source,
        odd: false,
        ended: false,
    };
    let mut reader = ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .from_reader(counted);
    let found = header(&mut reader, &path)?;
    if found.is_empty() {
        return Ok(());
    }
    let selection = visitor.select(&found)?;
    selection.check(&Location::file(&path), &found)?;
    let taken: Vec<_> = selection
        .taken()
        .map(|name| found.iter().position(|other| other == name))
        .collect();

    let mut record = ByteRecord::new();
    while next(&mut reader, &mut record)? {
        let place = place(&record);
        whole(&record, found.len(), reader.get_ref(), &path)?;
        let cell = |column: &Option<usize>| field(&record, *column, &found, &path);
        visitor.row(
            place,
            &taken.iter().map(cell).collect::<Result<Vec<_>, _>>()?,
        )?;
    }
    Ok(())
}

fn header(reader: &mut Reader<QuoteParity<'_>>, path: &Path) -> Result<Vec<String>, DataError> {
    let record = reader.byte_headers().cloned();
    let record = record.map_err(|error| reader.get_ref().error(error))?;
    let at = || (Location::at(path, Place::Line(1)), "the header".to_owned());
    record
        .iter()
        .map(|name| utf8(name, at).map(str::to_owned))
        .collect()
}

fn next(reader: &mut Reader<QuoteParity<'_>>, record: &mut ByteRecord) -> Result<bool, DataError> {
    reader
        .read_byte_record(record)
        .map_err(|error| reader.get_ref().error(error))
}

fn place(record: &ByteRecord) -> Place {
    Place::Line(record.position().map_or(0, csv::Position::line))
}

/// Fails unless the record has a field for each column and ends before the file does.
fn whole(
    record: &ByteRecord,
    expected: usize,
    quotes: &QuoteParity<'_>,
    path: &Path,
) -> Result<(), DataError> {
    let at = || Location::at(path, place(record));
    // The reader takes a quoted field that never ends up to the end of the file: only then is the number of quotes
    // odd and the last field one of several lines.
    let last = record.iter().next_back().unwrap_or_default();
    if quotes.at_odd_end() && last.contains(&b'\n') {
        return Err(DataError::UnclosedQuote { at: at() });
    }
    if record.len() != expected {
        return Err(DataError::RaggedRow {
            at: at(),
            found: record.len(),
            expected,
        });
    }
    Ok(())
}

fn field<'a>(
    record: &'a ByteRecord,
    column: Option<usize>,
    names: &[String],
    path: &Path,
) -> Result<Cell<'a>, DataError> {
    let Some(column) = column else {
        return Ok(Cell::Missing);
    };
    let within = || {
        (
            Location::at(path, place(record)),
            format!("field `{}`", names[column]),
        )
    };
    utf8(&record[column], within).map(Cell::Text)
}

/// Bytes passed on, and whether the number of quotes among them is odd.
struct QuoteParity<'a> {
    inner: Source<'a>,
    odd: bool,
    ended: bool,
}

impl QuoteParity<'_> {
    /// Whether all was read and the quotes do not pair up.
    fn at_odd_end(&self) -> bool {
        self.ended && self.odd
    }

    fn error(&self, error: csv::Error) -> DataError {
        match error.into_kind() {
            csv::ErrorKind::Io(source) => self.inner.error(source),
            other => self
                .inner
                .error(std::io::Error::other(format!("{other:?}"))),
        }
    }
}

impl Read for QuoteParity<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.ended = length == 0 && !buffer.is_empty();
        self.odd ^= buffer[..length]
            .iter()
            .filter(|&&byte| byte == b'"')
            .count()
            % 2
            == 1;
        Ok(length)
    }
}
