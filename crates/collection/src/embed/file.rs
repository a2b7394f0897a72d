//! One file of documents and embeddings, and what is written into it about itself.

use std::{fs::File, io, path::Path, sync::Arc};

use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use matryo_base::{FileError, write_atomic};
use matryo_data::{Document, parquet_io_error};
use matryo_ops::Mat;
use parquet::{
    arrow::ArrowWriter,
    errors::ParquetError,
    file::{
        metadata::{KeyValue, ParquetMetaDataReader},
        properties::WriterProperties,
    },
};

use super::columns::{EMBEDDING, columns};
use crate::CollectionError;

/// Keys in the file's own metadata.
const MODEL: &str = "matryo.model";
const DOCUMENTS: &str = "matryo.documents";

/// Rows handed to the writer at once: texts of a batch stay far below the 2 GiB that the offsets of a text array reach.
const ROWS_AT_ONCE: usize = 1024;

/// What a file was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tags {
    pub model: String,
    pub documents: String,
}

impl Tags {
    /// Those of a file, if it is there.
    ///
    /// # Errors
    /// [`CollectionError::OtherShard`] for a file that has none, [`CollectionError::Parquet`].
    pub fn of(path: &Path) -> Result<Option<Self>, CollectionError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::new("read", path)(error).into()),
        };
        let failed = |source| CollectionError::Parquet {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let metadata = ParquetMetaDataReader::new()
            .parse_and_finish(&file)
            .map_err(failed)?;
        let pairs = metadata.file_metadata().key_value_metadata();
        let value = |key: &str| pairs?.iter().find(|pair| pair.key == key)?.value.clone();
        match (value(MODEL), value(DOCUMENTS)) {
            (Some(model), Some(documents)) => Ok(Some(Self { model, documents })),
            _ => Err(CollectionError::OtherShard {
                path: path.to_owned(),
                of: "that another program wrote",
            }),
        }
    }

    fn pairs(&self) -> Vec<KeyValue> {
        [(MODEL, &self.model), (DOCUMENTS, &self.documents)]
            .map(|(key, value)| KeyValue::new(key.to_owned(), value.clone()))
            .to_vec()
    }
}

/// Writes documents and a row of `embeddings` each. The file appears whole or not at all.
pub(super) fn write(
    path: &Path,
    documents: &[Document],
    embeddings: &Mat,
    tags: &Tags,
) -> Result<(), CollectionError> {
    let batch = batch(documents, embeddings).map_err(|error| CollectionError::Parquet {
        action: "write",
        path: path.to_owned(),
        source: error.into(),
    })?;
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(tags.pairs()))
        .build();
    write_atomic(path, |out| {
        let written = || {
            let mut writer = ArrowWriter::try_new(out, batch.schema(), Some(properties))?;
            for first in (0..batch.num_rows()).step_by(ROWS_AT_ONCE) {
                writer.write(&batch.slice(first, ROWS_AT_ONCE.min(batch.num_rows() - first)))?;
            }
            writer.close()
        };
        written()
            .map(drop)
            .map_err(|error: ParquetError| parquet_io_error(error))
    })?;
    Ok(())
}

fn batch(documents: &[Document], embeddings: &Mat) -> Result<RecordBatch, ArrowError> {
    let mut named: Vec<(String, ArrayRef)> = columns(documents);
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let values: ArrayRef = Arc::new(Float32Array::from(embeddings.data().to_vec()));
    let width = i32::try_from(embeddings.cols()).expect("an embedding of fewer than 2^31 values");
    named.push((
        EMBEDDING.to_owned(),
        Arc::new(FixedSizeListArray::try_new(item, width, values, None)?),
    ));
    let fields: Vec<Field> = named
        .iter()
        .map(|(name, array)| Field::new(name, array.data_type().clone(), array.is_nullable()))
        .collect();
    RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        named.into_iter().map(|(_, array)| array).collect(),
    )
}
