//! Parquet: the text columns wanted, and numbers where they may stand, a batch of rows at a time.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::{Cell, Visitor};
use crate::columns::Selection;
use crate::error::DataError;
use crate::location::{Location, Place};

/// Rows decoded at once: enough to pay for the call, few enough that long texts stay far from the 2 GiB that the
/// offsets of a text array reach.
const ROWS_PER_BATCH: usize = 1024;

pub(super) fn read(path: &Path, visitor: &mut dyn Visitor) -> Result<(), DataError> {
    let Some(builder) = open(path)? else { return Ok(()) };
    let fields: Vec<_> = builder.schema().fields().iter().cloned().collect();
    let found: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
    let selection = visitor.select(&found)?;
    selection.check(&Location::file(path), &found)?;
    for field in fields.iter().filter(|field| selection.taken().any(|name| name == field.name())) {
        let number = field.data_type().is_numeric() && selection.numbers.contains(field.name());
        if !number {
            is_text(field, path)?;
        }
    }

    let wanted = (0..found.len()).filter(|&index| selection.taken().any(|name| *name == found[index]));
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let builder = builder.with_projection(mask).with_batch_size(ROWS_PER_BATCH);
    let mut batches = guarded(path, || builder.build().map_err(|error| broken(path, error)))?;
    let mut rows_before = 0;
    while let Some(batch) = guarded(path, || batches.next().transpose().map_err(|error| broken(path, error)))? {
        hand_over(&batch, &selection, rows_before, visitor)?;
        rows_before += batch.num_rows() as u64;
    }
    Ok(())
}

/// The file, or `None` when it has no bytes. Without the writer's Arrow schema every kind of text column (large, view,
/// dictionary) is read as plain text.
fn open(path: &Path) -> Result<Option<ParquetRecordBatchReaderBuilder<File>>, DataError> {
    let failed = |source| DataError::Read { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() == 0 {
        return Ok(None);
    }
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = || ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
    guarded(path, || builder().map(Some).map_err(|error| broken(path, error)))
}

/// Runs a step of the decoder, which panics on some damaged files (a few in ten thousand with changed bytes, parquet
/// 60.1) where it should fail.
fn guarded<T>(path: &Path, step: impl FnOnce() -> Result<T, DataError>) -> Result<T, DataError> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| Err(broken(path, io::Error::other("damaged data"))))
}

fn broken(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> DataError {
    DataError::Parquet { path: path.to_path_buf(), source: Box::new(error) }
}

fn is_text(field: &Field, path: &Path) -> Result<(), DataError> {
    let found = match field.data_type() {
        DataType::Utf8 => return Ok(()),
        DataType::Binary | DataType::FixedSizeBinary(_) => "bytes not marked as text".to_owned(),
        DataType::Null => "only nulls".to_owned(),
        DataType::Boolean => "booleans".to_owned(),
        DataType::List(_) => "lists".to_owned(),
        DataType::Struct(_) => "structs".to_owned(),
        number if number.is_numeric() => format!("numbers ({number})"),
        other => format!("values of type {other}"),
    };
    Err(DataError::WrongType { at: Location::file(path), column: field.name().clone(), found })
}

fn hand_over(
    batch: &RecordBatch,
    selection: &Selection,
    rows_before: u64,
    visitor: &mut dyn Visitor,
) -> Result<(), DataError> {
    let columns: Vec<_> = selection.taken().map(|name| batch.column_by_name(name).map(Column::of)).collect();
    for row in 0..batch.num_rows() {
        let cells: Vec<_> = columns.iter().map(|column| column.as_ref().map_or(Cell::Missing, |c| c.cell(row))).collect();
        visitor.row(Place::Row(rows_before + row as u64 + 1), &cells)?;
    }
    Ok(())
}

/// A column as it is handed over.
enum Column<'a> {
    Text(&'a StringArray),
    /// A number a row, or null.
    Numbers(Vec<Option<f64>>),
}

impl<'a> Column<'a> {
    fn of(array: &'a ArrayRef) -> Self {
        match array.as_string_opt::<i32>() {
            Some(texts) => Self::Text(texts),
            None => Self::Numbers(numbers(array)),
        }
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Self::Text(texts) if texts.is_null(row) => Cell::Null,
            Self::Text(texts) => Cell::Text(texts.value(row)),
            Self::Numbers(numbers) => numbers[row].map_or(Cell::Null, Cell::Number),
        }
    }
}

/// The values of a numeric column; of a type without a conversion, such as decimals, nulls.
fn numbers(array: &ArrayRef) -> Vec<Option<f64>> {
    macro_rules! converted {
        ($($data_type:ident: $values:ty),*) => {
            match array.data_type() {
                $(DataType::$data_type => {
                    array.as_primitive::<$values>().iter().map(|value| value.map(|value| value as f64)).collect()
                })*
                _ => vec![None; array.len()],
            }
        };
    }
    converted!(
        Float64: Float64Type, Float32: Float32Type, Int64: Int64Type, Int32: Int32Type, Int16: Int16Type,
        Int8: Int8Type, UInt64: UInt64Type, UInt32: UInt32Type, UInt16: UInt16Type, UInt8: UInt8Type
    )
}
