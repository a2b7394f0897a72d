//! A Parquet file with the columns `text` (string) and `embedding` (fixed-size list).

use std::{
    io::{self, Write},
    sync::Arc,
};

use arrow_array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int8Array, RecordBatch, StringArray, UInt8Array,
};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema};
use matryo_data::parquet_io_error;
use matryo_model::Quantized;
use parquet::{arrow::ArrowWriter, errors::ParquetError};

use super::values;

/// Rows handed to the writer at once: bounds the copy in Arrow's own layout.
const ROWS_AT_ONCE: usize = 8192;

/// Writes one row a text.
pub fn write(
    out: &mut (impl Write + Send),
    texts: &[String],
    embeddings: &Quantized,
) -> io::Result<()> {
    write_batches(out, texts, embeddings).map_err(parquet_io_error)
}

fn write_batches(
    out: &mut (impl Write + Send),
    texts: &[String],
    embeddings: &Quantized,
) -> Result<(), ParquetError> {
    let item = item_field(embeddings);
    let schema = schema(&item, values::shape(embeddings).1);
    let mut writer = ArrowWriter::try_new(out, schema.clone(), None)?;
    for (block, texts) in texts.chunks(ROWS_AT_ONCE).enumerate() {
        let start = block * ROWS_AT_ONCE;
        let lists = lists(embeddings, start, start + texts.len(), &item)?;
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        writer.write(&RecordBatch::try_new(
            schema.clone(),
            vec![text, Arc::new(lists)],
        )?)?;
    }
    writer.close()?;
    Ok(())
}

fn item_field(embeddings: &Quantized) -> FieldRef {
    let data_type = match embeddings {
        Quantized::Float32(_) => DataType::Float32,
        Quantized::Int8 { .. } => DataType::Int8,
        Quantized::Uint8 { .. } => DataType::UInt8,
    };
    Arc::new(Field::new("item", data_type, false))
}

fn schema(item: &FieldRef, cols: usize) -> Arc<Schema> {
    let list = DataType::FixedSizeList(item.clone(), list_size(cols));
    Arc::new(Schema::new(vec![
        Field::new("text", DataType::Utf8, false),
        Field::new("embedding", list, false),
    ]))
}

/// Rows `start..end` as Arrow keeps them.
fn lists(
    embeddings: &Quantized,
    start: usize,
    end: usize,
    item: &FieldRef,
) -> Result<FixedSizeListArray, ArrowError> {
    let (_, cols) = values::shape(embeddings);
    let range = start * cols..end * cols;
    let items: ArrayRef = match embeddings {
        Quantized::Float32(mat) => Arc::new(Float32Array::from_iter_values(
            mat.data()[range].iter().copied(),
        )),
        Quantized::Int8 { data, .. } => {
            Arc::new(Int8Array::from_iter_values(data[range].iter().copied()))
        }
        Quantized::Uint8 { data, .. } => {
            Arc::new(UInt8Array::from_iter_values(data[range].iter().copied()))
        }
    };
    FixedSizeListArray::try_new(item.clone(), list_size(cols), items, None)
}

fn list_size(cols: usize) -> i32 {
    i32::try_from(cols).expect("an embedding of fewer than 2^31 values")
}
