//! Parquet: columns of texts, numbers, truth values, and lists of these.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use serde_json::Value;

use super::{EachRecord, Record};
use crate::error::DataError;
use crate::location::{Location, Place};
use crate::reader::parquet_batches;

pub(super) fn read(path: &Path, each: &mut EachRecord<'_>) -> Result<(), DataError> {
    let mut rows_before = 0;
    parquet_batches(path, &mut |batch| {
        for row in 0..batch.num_rows() {
            let place = Place::Row(rows_before + row as u64 + 1);
            each(place, record(batch, row, || Location::at(path, place))?)?;
        }
        rows_before += batch.num_rows() as u64;
        Ok(())
    })
}

fn record(batch: &RecordBatch, row: usize, at: impl Fn() -> Location) -> Result<Record, DataError> {
    let schema = batch.schema();
    let named = schema.fields().iter().zip(batch.columns());
    named
        .map(|(field, column)| Ok((field.name().clone(), value(column, row, field.name(), &at)?)))
        .collect()
}

fn list(items: &dyn Array, name: &str, at: &dyn Fn() -> Location) -> Result<Value, DataError> {
    (0..items.len())
        .map(|item| value(items, item, name, at))
        .collect()
}

fn value(
    column: &dyn Array,
    row: usize,
    name: &str,
    at: &dyn Fn() -> Location,
) -> Result<Value, DataError> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int8 => number::<Int8Type>(column, row),
        DataType::Int16 => number::<Int16Type>(column, row),
        DataType::Int32 => number::<Int32Type>(column, row),
        DataType::Int64 => number::<Int64Type>(column, row),
        DataType::UInt8 => number::<UInt8Type>(column, row),
        DataType::UInt16 => number::<UInt16Type>(column, row),
        DataType::UInt32 => number::<UInt32Type>(column, row),
        DataType::UInt64 => number::<UInt64Type>(column, row),
        DataType::Float32 => number::<Float32Type>(column, row),
        DataType::Float64 => number::<Float64Type>(column, row),
        DataType::List(_) => list(&column.as_list::<i32>().value(row), name, at)?,
        DataType::LargeList(_) => list(&column.as_list::<i64>().value(row), name, at)?,
        DataType::FixedSizeList(..) => list(&column.as_fixed_size_list().value(row), name, at)?,
        other => {
            let found = format!("values of type {other}");
            return Err(DataError::WrongType {
                at: at(),
                column: name.to_owned(),
                found,
            });
        }
    })
}

fn number<T: ArrowPrimitiveType<Native: Into<Value>>>(column: &dyn Array, row: usize) -> Value {
    column.as_primitive::<T>().value(row).into()
}
