//! The columns `embedding` (lists of numbers) and, if it is there, `text` of a Parquet file.

use std::{
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use arrow_array::{
    Array, ArrayRef, RecordBatch,
    cast::AsArray,
    types::{Float32Type, Float64Type},
};
use arrow_schema::DataType;
use matryo_base::FileError;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::{InputError, Rows, Stored};

const EMBEDDING: &str = "embedding";
const TEXT: &str = "text";

pub fn read(path: &Path) -> Result<Stored, InputError> {
    let file = File::open(path).map_err(FileError::new("read", path))?;
    // Without the writer's Arrow schema every kind of text column is read as plain text.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let reader = guarded(path, || {
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?.build()
    })?;
    let (mut rows, mut texts) = (Rows::default(), None);
    for batch in batches(path, reader) {
        let batch = batch?;
        take_texts(path, &batch, rows.rows, &mut texts)?;
        take_rows(path, &batch, &mut rows)?;
    }
    rows.stored(path, texts)
}

fn batches(
    path: &Path,
    mut reader: ParquetRecordBatchReader,
) -> impl Iterator<Item = Result<RecordBatch, InputError>> + '_ {
    std::iter::from_fn(move || guarded(path, || Ok(reader.next().transpose()?)).transpose())
}

/// Runs a step of the decoder, which panics on some damaged files where it should fail.
fn guarded<T>(
    path: &Path,
    step: impl FnOnce() -> Result<T, parquet::errors::ParquetError>,
) -> Result<T, InputError> {
    let broken = |source: Box<dyn std::error::Error + Send + Sync>| InputError::Parquet {
        path: path.to_owned(),
        source,
    };
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(result) => result.map_err(|source| broken(Box::new(source))),
        Err(_) => Err(broken(Box::new(io::Error::other("damaged data")))),
    }
}

fn take_texts(
    path: &Path,
    batch: &RecordBatch,
    before: usize,
    texts: &mut Option<Vec<String>>,
) -> Result<(), InputError> {
    let Some(column) = batch
        .column_by_name(TEXT)
        .and_then(|column| column.as_string_opt::<i32>())
    else {
        return Ok(());
    };
    let texts = texts.get_or_insert_default();
    for (row, text) in column.iter().enumerate() {
        let missing = || InputError::Null {
            path: path.to_owned(),
            row: before + row + 1,
            what: "`text`",
        };
        texts.push(text.ok_or_else(missing)?.to_owned());
    }
    Ok(())
}

fn take_rows(path: &Path, batch: &RecordBatch, rows: &mut Rows) -> Result<(), InputError> {
    let column = batch.column_by_name(EMBEDDING).ok_or_else(|| {
        let found = batch
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        InputError::Missing {
            path: path.to_owned(),
            kind: "column",
            name: EMBEDDING,
            found,
        }
    })?;
    for row in 0..column.len() {
        if column.is_null(row) {
            return Err(InputError::Null {
                path: path.to_owned(),
                row: rows.rows + 1,
                what: "`embedding`",
            });
        }
        let list = list(column, row);
        let values = list.as_ref().and_then(values);
        let wrong = || InputError::Type {
            path: path.to_owned(),
            found: column.data_type().to_string(),
        };
        rows.push(path, &values.ok_or_else(wrong)?)?;
    }
    Ok(())
}

/// The list of a row, if the column holds lists.
fn list(column: &ArrayRef, row: usize) -> Option<ArrayRef> {
    match column.data_type() {
        DataType::FixedSizeList(..) => Some(column.as_fixed_size_list().value(row)),
        DataType::List(_) => Some(column.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(column.as_list::<i64>().value(row)),
        _ => None,
    }
}

/// The numbers of a list; a null among them becomes NaN, which is refused later.
fn values(list: &ArrayRef) -> Option<Vec<f32>> {
    match list.data_type() {
        DataType::Float32 => Some(
            list.as_primitive::<Float32Type>()
                .iter()
                .map(|x| x.unwrap_or(f32::NAN))
                .collect(),
        ),
        DataType::Float64 => Some(
            list.as_primitive::<Float64Type>()
                .iter()
                .map(|x| x.map_or(f32::NAN, |x| x as f32))
                .collect(),
        ),
        _ => None,
    }
}
