//! The folder of a static model, which sentence-transformers, model2vec and matryo read alike.

use std::{io::Write, path::Path};

use matryo_base::files::{write_file, write_folder};
use matryo_model::write_tensors;
use serde_json::{Value, json};

use crate::{DistillError, StaticModel};

impl StaticModel {
    /// Saves the model into the folder `target`, which appears whole.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, target: &Path) -> Result<(), DistillError> {
        write_folder(target, |dir| {
            let shape = [self.table.rows(), self.table.cols()];
            let table = [("embeddings".to_owned(), &shape[..], self.table.data())];
            write_tensors(&dir.join("model.safetensors"), &table)?;
            write_text(&dir.join("tokenizer.json"), &self.tokenizer.to_string())?;
            write_json(&dir.join("config.json"), &self.config())?;
            write_json(&dir.join("modules.json"), &modules())?;
            write_text(&dir.join("README.md"), &self.card())
        })
    }

    /// As model2vec writes it.
    fn config(&self) -> Value {
        json!({
            "model_type": "model2vec",
            "architectures": ["StaticModel"],
            "tokenizer_name": self.base,
            "apply_pca": self.options.dims,
            "sif_coefficient": self.options.sif,
            "hidden_dim": self.table.cols(),
            "seq_length": 1_000_000,
            "normalize": true,
            "pooling": "mean",
            "max_length": 512,
            "embedding_dtype": "float32",
        })
    }

    fn card(&self) -> String {
        let Self { base, table, .. } = self;
        let (tokens, dims) = (table.rows(), table.cols());
        format!(
            "---\nlibrary_name: sentence-transformers\npipeline_tag: sentence-similarity\ntags:\n- sentence-transformers\n- \
             model2vec\n- static-embeddings\n---\n\n# Static model of {base}\n\nMade with `matryo distill` from {base}: {tokens} tokens, \
             {dims} dimensions. A text's vector is the mean of its tokens' rows, scaled to length 1.\n\n```python\nfrom \
             sentence_transformers import SentenceTransformer\n\nmodel = SentenceTransformer(\"path/to/this/folder\")\n```\n"
        )
    }
}

fn modules() -> Value {
    json!([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"},
        {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"},
    ])
}

fn write_json(path: &Path, value: &Value) -> Result<(), DistillError> {
    write_text(path, &format!("{value:#}\n"))
}

fn write_text(path: &Path, text: &str) -> Result<(), DistillError> {
    Ok(write_file(path, |file| file.write_all(text.as_bytes()))?)
}
