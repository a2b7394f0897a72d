//! The format and compression of a file, from its name.

use std::path::Path;

use crate::error::DataError;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    JsonLines,
    /// With this separator, and a header.
    Delimited(u8),
    Parquet,
    Text,
}

/// How a text format is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Gzip,
    Zstd,
}

impl Codec {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// The format and compression that a file's name tells.
pub(crate) fn detect(path: &Path) -> Result<(Format, Option<Codec>), DataError> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let (stem, codec) = strip_codec(&name);
    let extension = stem.rsplit_once('.').map(|(_, extension)| extension);
    let format = match extension {
        Some("jsonl" | "ndjson" | "json") => Format::JsonLines,
        Some("csv") => Format::Delimited(b','),
        Some("tsv") => Format::Delimited(b'\t'),
        Some("txt") => Format::Text,
        Some("parquet") if codec.is_none() => Format::Parquet,
        _ => {
            let extension = extension.map(|start| format!("{start}{}", &name[stem.len()..]));
            return Err(DataError::UnknownFormat {
                path: path.to_path_buf(),
                extension,
            });
        }
    };
    Ok((format, codec))
}

fn strip_codec(name: &str) -> (&str, Option<Codec>) {
    let endings = [(".gz", Codec::Gzip), (".zst", Codec::Zstd)];
    let found = endings
        .iter()
        .find_map(|(ending, codec)| Some((name.strip_suffix(ending)?, Some(*codec))));
    found.unwrap_or((name, None))
}
