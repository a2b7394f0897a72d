//! Errors of the Parquet library as the system's.

use std::io;

use parquet::errors::ParquetError;

/// The system's error, if that is what is inside, so that a full disk can be told from a bug.
pub fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(inner) => *inner,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
