//! The bytes of a text file, decompressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use matryo_base::FileError;

use super::format::Codec;
use crate::error::DataError;

/// Bytes with the name to use in messages.
pub(crate) struct Source<'a> {
    pub(super) bytes: Box<dyn BufRead + 'a>,
    path: PathBuf,
    codec: Option<Codec>,
}

impl<'a> Source<'a> {
    /// A file.
    pub(crate) fn open(path: &Path, codec: Option<Codec>) -> Result<Self, DataError> {
        let failed = FileError::new("read", path);
        let file = File::open(path).map_err(failed)?;
        let bytes: Box<dyn BufRead> = match codec {
            None => Box::new(BufReader::new(file)),
            Some(Codec::Gzip) => {
                Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(file))))
            }
            Some(Codec::Zstd) => {
                Box::new(BufReader::new(zstd::Decoder::new(file).map_err(failed)?))
            }
        };
        Ok(Self {
            bytes,
            path: path.to_path_buf(),
            codec,
        })
    }

    /// Bytes from elsewhere, called `path` in messages.
    pub(crate) fn new(bytes: impl BufRead + 'a, path: &Path) -> Self {
        Self {
            bytes: Box::new(bytes),
            path: path.to_path_buf(),
            codec: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The error for bytes that could not be had: the system's fault, or the decoder's.
    pub(super) fn error(&self, source: io::Error) -> DataError {
        match self.codec {
            Some(codec) if source.raw_os_error().is_none() => DataError::Compression {
                path: self.path.clone(),
                codec: codec.name(),
                source,
            },
            _ => FileError::new("read", &self.path)(source).into(),
        }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}
