//! The head on disk, beside the model's files: `classifier.json` says what it is, `classifier.safetensors` holds its numbers.
//!
//! `classifier.json`:
//!
//! ```json
//! {
//!   "format": 1,
//!   "head": "LogisticRegression",
//!   "labels": ["card_arrival", "lost_or_stolen_card"],
//!   "dim": 384,
//!   "normalize_embeddings": false,
//!   "training": {"method": "few-shot", "examples": 16}
//! }
//! ```
//!
//! `labels` are in the order of the outputs; `training` is a record and changes nothing. `classifier.safetensors` has the tensors
//! `coef` `[outputs, dim]` and `intercept` `[outputs]`, F64 (F32 is read too), named, shaped and used as `coef_` and `intercept_` of
//! scikit-learn's LogisticRegression: one output for two classes, the log-odds of the second, else an output a class.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use matryo_base::{FileError, write_file};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ClassifyError, LogisticHead, objective::outputs};

/// Name of the description.
pub const SETTINGS_FILE: &str = "classifier.json";
/// Name of the weights.
pub const HEAD_FILE: &str = "classifier.safetensors";

const FORMAT: u32 = 1;
const HEAD_TYPE: &str = "LogisticRegression";
const COEF: &str = "coef";
const INTERCEPT: &str = "intercept";

/// What `classifier.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierFile {
    format: u32,
    head: String,
    /// Names of the classes, in the order of the probabilities.
    pub labels: Vec<String>,
    /// Width of the embeddings.
    pub dim: usize,
    /// Whether embeddings are scaled to length 1 first.
    pub normalize_embeddings: bool,
    /// How it was trained: a record.
    pub training: Map<String, Value>,
}

impl ClassifierFile {
    /// The description of a head.
    pub fn new(
        labels: Vec<String>,
        dim: usize,
        normalize_embeddings: bool,
        training: Map<String, Value>,
    ) -> Self {
        Self {
            format: FORMAT,
            head: HEAD_TYPE.to_owned(),
            labels,
            dim,
            normalize_embeddings,
            training,
        }
    }

    fn check(&self, path: &Path) -> Result<(), ClassifyError> {
        let path = || path.to_owned();
        if self.format != FORMAT {
            return Err(ClassifyError::Format {
                path: path(),
                found: self.format,
                expected: FORMAT,
            });
        }
        if self.head != HEAD_TYPE {
            return Err(ClassifyError::HeadType {
                path: path(),
                found: self.head.clone(),
                expected: HEAD_TYPE,
            });
        }
        if self.labels.len() < 2 {
            return Err(ClassifyError::FewLabels {
                path: path(),
                found: self.labels.len(),
            });
        }
        for (index, label) in self.labels.iter().enumerate() {
            if label.trim().is_empty() {
                return Err(ClassifyError::BlankLabel {
                    path: path(),
                    index,
                });
            }
            if self.labels[..index].contains(label) {
                return Err(ClassifyError::RepeatedLabel {
                    path: path(),
                    label: label.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Writes both files into `folder`, synced: for a folder that [`matryo_base::write_folder`] is building.
pub(crate) fn write(
    folder: &Path,
    settings: &ClassifierFile,
    head: &LogisticHead,
) -> Result<(), FileError> {
    let text = serde_json::to_string_pretty(settings).expect("a description is plain data") + "\n";
    write_file(&folder.join(SETTINGS_FILE), |file| {
        file.write_all(text.as_bytes())
    })?;
    let bytes = |values: &[f64]| {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let (coef, intercept) = (bytes(head.coef()), bytes(head.intercept()));
    let tensor = |shape, bytes| {
        TensorView::new(Dtype::F64, shape, bytes).expect("as many bytes as the shape has")
    };
    let tensors = [
        (COEF, tensor(vec![head.outputs(), head.dim()], &coef)),
        (INTERCEPT, tensor(vec![head.outputs()], &intercept)),
    ];
    let file = safetensors::serialize(tensors, None).expect("two tensors with names");
    write_file(&folder.join(HEAD_FILE), |out| out.write_all(&file))
}

/// Reads both files and checks every label and tensor.
pub(crate) fn read(folder: &Path) -> Result<(ClassifierFile, LogisticHead), ClassifyError> {
    let (path, bytes) = bytes(folder, SETTINGS_FILE)?;
    let settings: ClassifierFile =
        serde_json::from_slice(&bytes).map_err(|source| ClassifyError::Json {
            path: path.clone(),
            source,
        })?;
    settings.check(&path)?;
    let (path, bytes) = self::bytes(folder, HEAD_FILE)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|source| ClassifyError::Safetensors {
        path: path.clone(),
        source,
    })?;
    let unknown = file
        .names()
        .into_iter()
        .map(String::from)
        .find(|name| ![COEF, INTERCEPT].contains(&name.as_str()));
    if let Some(name) = unknown {
        return Err(ClassifyError::UnexpectedTensor { path, name });
    }
    let (classes, dim) = (settings.labels.len(), settings.dim);
    let coef = tensor(&file, &path, COEF, &[outputs(classes), dim])?;
    let intercept = tensor(&file, &path, INTERCEPT, &[outputs(classes)])?;
    Ok((
        settings,
        LogisticHead::from_parts(classes, dim, &coef, &intercept),
    ))
}

fn bytes(folder: &Path, file: &'static str) -> Result<(PathBuf, Vec<u8>), ClassifyError> {
    let path = folder.join(file);
    match std::fs::read(&path) {
        Ok(bytes) => Ok((path, bytes)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            Err(ClassifyError::NoClassifier {
                folder: folder.to_owned(),
                file,
            })
        }
        Err(source) => Err(FileError::new("read", &path)(source).into()),
    }
}

fn tensor(
    file: &SafeTensors<'_>,
    path: &Path,
    name: &'static str,
    expected: &[usize],
) -> Result<Vec<f64>, ClassifyError> {
    let path = || path.to_owned();
    let Ok(view) = file.tensor(name) else {
        let found = file.names().into_iter().map(String::from).collect();
        return Err(ClassifyError::MissingTensor {
            path: path(),
            name,
            found,
        });
    };
    if view.shape() != expected {
        let (found, expected) = (view.shape().to_vec(), expected.to_vec());
        return Err(ClassifyError::TensorShape {
            path: path(),
            name,
            found,
            expected,
        });
    }
    let values: Vec<f64> = match view.dtype() {
        Dtype::F64 => numbers(view.data(), f64::from_le_bytes),
        Dtype::F32 => numbers(view.data(), |bytes| f64::from(f32::from_le_bytes(bytes))),
        other => {
            return Err(ClassifyError::TensorDtype {
                path: path(),
                name,
                found: other.to_string(),
            });
        }
    };
    match values
        .iter()
        .enumerate()
        .find(|(_, value)| !value.is_finite())
    {
        Some((index, &value)) => Err(ClassifyError::NotFinite {
            path: path(),
            name,
            index,
            value,
        }),
        None => Ok(values),
    }
}

fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|&bytes| number(bytes))
        .collect()
}
