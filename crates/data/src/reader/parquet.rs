//! Parquet: the columns wanted, a batch of rows at a time.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field};
use matryo_base::FileError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use serde_json::Number;

use super::{Cell, Visitor};
use crate::columns::Selection;
use crate::error::DataError;
use crate::location::{Location, Place};

/// Rows decoded at once: enough to pay for the call, few enough that long texts stay far from the 2 GiB that the
/// offsets of a text array reach.
const ROWS_PER_BATCH: usize = 1024;

pub(super) fn read(path: &Path, visitor: &mut dyn Visitor) -> Result<(), DataError> {
    let Some(builder) = open(path)? else {
        return Ok(());
    };
    let fields: Vec<_> = builder.schema().fields().iter().cloned().collect();
    let found: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
    let selection = visitor.select(&found)?;
    selection.check(&Location::file(path), &found)?;
    for field in fields
        .iter()
        .filter(|field| selection.taken().any(|name| name == field.name()))
    {
        if !(selection.numbers.contains(field.name()) && is_number(field.data_type())) {
            is_text(field, path)?;
        }
    }

    let wanted =
        (0..found.len()).filter(|&index| selection.taken().any(|name| *name == found[index]));
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let mut rows_before = 0;
    each_batch(path, builder.with_projection(mask), &mut |batch| {
        hand_over(batch, &selection, rows_before, visitor)?;
        rows_before += batch.num_rows() as u64;
        Ok(())
    })
}

/// Takes batches of rows one after the other.
type EachBatch<'a> = dyn FnMut(&RecordBatch) -> Result<(), DataError> + 'a;

/// All columns, a batch of rows at a time.
pub(crate) fn batches(path: &Path, each: &mut EachBatch<'_>) -> Result<(), DataError> {
    open(path)?.map_or(Ok(()), |builder| each_batch(path, builder, each))
}

fn each_batch(
    path: &Path,
    builder: ParquetRecordBatchReaderBuilder<File>,
    each: &mut EachBatch<'_>,
) -> Result<(), DataError> {
    let builder = builder.with_batch_size(ROWS_PER_BATCH);
    let mut batches = guarded(path, || {
        builder.build().map_err(|error| broken(path, error))
    })?;
    while let Some(batch) = guarded(path, || {
        batches
            .next()
            .transpose()
            .map_err(|error| broken(path, error))
    })? {
        each(&batch)?;
    }
    Ok(())
}

/// The file, or `None` when it has no bytes. Without the writer's Arrow schema every kind of text column (large, view,
/// dictionary) is read as plain text.
fn open(path: &Path) -> Result<Option<ParquetRecordBatchReaderBuilder<File>>, DataError> {
    let failed = FileError::new("read", path);
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() == 0 {
        return Ok(None);
    }
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = || ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
    guarded(path, || {
        builder().map(Some).map_err(|error| broken(path, error))
    })
}

/// Runs a step of the decoder, which panics on some damaged files (a few in ten thousand with changed bytes, parquet
/// 60.1) where it should fail.
fn guarded<T>(path: &Path, step: impl FnOnce() -> Result<T, DataError>) -> Result<T, DataError> {
    catch_unwind(AssertUnwindSafe(step))
        .unwrap_or_else(|_| Err(broken(path, io::Error::other("damaged data"))))
}

fn broken(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> DataError {
    DataError::Parquet {
        path: path.to_path_buf(),
        source: Box::new(error),
    }
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
    Err(DataError::WrongType {
        at: Location::file(path),
        column: field.name().clone(),
        found,
    })
}

fn hand_over(
    batch: &RecordBatch,
    selection: &Selection,
    rows_before: u64,
    visitor: &mut dyn Visitor,
) -> Result<(), DataError> {
    let columns: Vec<Option<&dyn Array>> = selection
        .taken()
        .map(|name| batch.column_by_name(name).map(AsRef::as_ref))
        .collect();
    for row in 0..batch.num_rows() {
        let cells: Vec<_> = columns.iter().map(|column| cell(*column, row)).collect();
        visitor.row(Place::Row(rows_before + row as u64 + 1), &cells)?;
    }
    Ok(())
}

fn cell(column: Option<&dyn Array>, row: usize) -> Cell<'_> {
    match column {
        None => Cell::Missing,
        Some(column) if column.is_null(row) => Cell::Null,
        Some(column) => match column.as_string_opt::<i32>() {
            Some(texts) => Cell::Text(texts.value(row)),
            None => {
                number(column, row).map_or(Cell::Other("a number that is not finite"), Cell::Number)
            }
        },
    }
}

/// Types that [`number`] reads.
fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Float32 | DataType::Float64)
}

fn number(column: &dyn Array, row: usize) -> Option<Number> {
    fn value<T: ArrowPrimitiveType>(column: &dyn Array, row: usize) -> T::Native {
        column.as_primitive::<T>().value(row)
    }
    match column.data_type() {
        DataType::Int8 => Some(value::<Int8Type>(column, row).into()),
        DataType::Int16 => Some(value::<Int16Type>(column, row).into()),
        DataType::Int32 => Some(value::<Int32Type>(column, row).into()),
        DataType::Int64 => Some(value::<Int64Type>(column, row).into()),
        DataType::UInt8 => Some(value::<UInt8Type>(column, row).into()),
        DataType::UInt16 => Some(value::<UInt16Type>(column, row).into()),
        DataType::UInt32 => Some(value::<UInt32Type>(column, row).into()),
        DataType::UInt64 => Some(value::<UInt64Type>(column, row).into()),
        DataType::Float32 => Number::from_f64(value::<Float32Type>(column, row).into()),
        DataType::Float64 => Number::from_f64(value::<Float64Type>(column, row)),
        _ => None,
    }
}
