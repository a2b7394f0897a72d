//! Texts with their embeddings: encoded by a model, or read from a file that was written by `matryo encode`.

use std::path::{Path, PathBuf};

use clap::Args;
use matryo_model::ModelError;
use matryo_ops::Mat;

use crate::{
    args::{EncodingArgs, ModelArgs, PrecisionArgs},
    console::Console,
    error::CliError,
    input::{self, Stored},
    model, texts,
};

/// Which texts, and where their embeddings come from.
#[derive(Clone, Debug, Args)]
pub struct SourceArgs {
    /// Folder of the model, or its name on the Hugging Face hub (org/name); not needed with --embeddings
    #[arg(value_name = "MODEL", required_unless_present = "embeddings")]
    model: Option<String>,
    /// Branch, tag or commit on the hub [default: main]
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// File with the texts: .txt (one a line), .jsonl, .csv, .tsv or .parquet; without it or with -, standard input
    #[arg(long, short, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Column of the file that holds the texts [default: the only one, else text or sentence]
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// Embeddings that `matryo encode` wrote of these texts (.npy, .jsonl, .parquet, .safetensors), instead of encoding them again;
    /// a .jsonl or .parquet file holds the texts too
    #[arg(long, value_name = "FILE", conflicts_with_all = ["revision", "prompt", "prompt_name", "role", "task", "max_seq_length", "batch_tokens", "precision"])]
    embeddings: Option<PathBuf>,
    #[command(flatten)]
    encoding: EncodingArgs,
    #[command(flatten)]
    precision: PrecisionArgs,
}

/// Texts, and their embeddings if they were read.
pub struct Source<'a> {
    args: &'a SourceArgs,
    /// At least one.
    pub texts: Vec<String>,
    stored: Option<Mat>,
}

impl<'a> Source<'a> {
    /// Reads what there is to read.
    ///
    /// # Errors
    /// [`CliError::NoText`], [`CliError::Count`], [`CliError::OtherText`], and whatever is wrong with the files.
    pub fn gather(args: &'a SourceArgs) -> Result<Self, CliError> {
        let from_file = || texts::from_file(args.input.as_deref(), args.column.as_deref());
        let Some(path) = &args.embeddings else {
            return Ok(Self {
                args,
                texts: from_file()?,
                stored: None,
            });
        };
        let Stored { texts, embeddings } = input::read(path)?;
        let texts = match texts {
            Some(texts) if args.input.is_none() => texts,
            None => counted(from_file()?, &embeddings, path)?,
            Some(known) => same(counted(from_file()?, &embeddings, path)?, &known, path)?,
        };
        Ok(Self {
            args,
            texts,
            stored: Some(embeddings),
        })
    }

    /// The texts and an embedding each.
    ///
    /// # Errors
    /// Those of the model, and of a dimension that the embeddings do not have.
    pub fn embed(self, console: &Console) -> Result<(Vec<String>, Mat), CliError> {
        let options = self.args.encoding.options();
        if let Some(stored) = self.stored {
            return Ok((self.texts, truncated(stored, options.truncate_dim)?));
        }
        let name = self
            .args
            .model
            .clone()
            .expect("required without --embeddings");
        let args = ModelArgs {
            model: name,
            revision: self.args.revision.clone(),
        };
        let model = model::open(&args, self.args.precision, console)?;
        let encoded = model::encode(&model, &self.texts, options, console)?;
        Ok((self.texts, encoded.embeddings))
    }
}

fn counted(texts: Vec<String>, embeddings: &Mat, path: &Path) -> Result<Vec<String>, CliError> {
    let (found, embeddings) = (texts.len(), embeddings.rows());
    if found == embeddings {
        return Ok(texts);
    }
    Err(CliError::Count {
        texts: found,
        embeddings,
        path: path.to_owned(),
    })
}

fn same(texts: Vec<String>, known: &[String], path: &Path) -> Result<Vec<String>, CliError> {
    match texts
        .iter()
        .zip(known)
        .position(|(text, known)| text != known)
    {
        Some(place) => Err(CliError::OtherText {
            number: place + 1,
            path: path.to_owned(),
        }),
        None => Ok(texts),
    }
}

fn truncated(embeddings: Mat, dim: Option<usize>) -> Result<Mat, ModelError> {
    match dim {
        None => Ok(embeddings),
        Some(found) if found > embeddings.cols() => Err(ModelError::TruncateDim {
            found,
            dim: embeddings.cols(),
        }),
        Some(dim) => Ok(embeddings.view().first_cols(dim).to_mat()),
    }
}
