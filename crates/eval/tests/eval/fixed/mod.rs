//! A model that returns golden rows, and counts what it is asked for.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use matryo_data::RetrievalData;
use matryo_index::Mat;
use matryo_model::{Embed, ModelError, Role};
use matryo_testkit::{read_json, read_safetensors};
use serde_json::Value;

/// Rows by text.
pub struct Fixed {
    dim: usize,
    rows: HashMap<String, Vec<f32>>,
    queries: AtomicUsize,
    documents: AtomicUsize,
    largest: AtomicUsize,
}

pub fn golden(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file)
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap().to_owned())
        .collect()
}

fn texts(ids: &[String]) -> Vec<(String, String)> {
    ids.iter()
        .map(|id| (id.clone(), format!("text of {id}")))
        .collect()
}

impl Fixed {
    /// The data called `name` in retrieval.json, and the model that knows its rows.
    pub fn golden(name: &str) -> (RetrievalData, Self) {
        let data = read_json(golden("retrieval.json"))[name].clone();
        let tensors = read_safetensors(golden("retrieval.safetensors"));
        let (queries, corpus) = (strings(&data["queries"]), strings(&data["corpus"]));
        let relevant = data["relevant"].as_object().unwrap();
        let relevant = relevant
            .iter()
            .map(|(id, ids)| (id.clone(), strings(ids).into_iter().collect()))
            .collect();
        let (of_queries, of_corpus) = (
            &tensors[&format!("{name}.queries")],
            &tensors[&format!("{name}.corpus")],
        );
        let (_, dim) = of_queries.rows_cols();
        let rows = of_queries
            .data
            .chunks(dim)
            .chain(of_corpus.data.chunks(dim))
            .map(<[f32]>::to_vec);
        let (queries, corpus) = (texts(&queries), texts(&corpus));
        let rows = queries
            .iter()
            .chain(&corpus)
            .map(|(_, text)| text.clone())
            .zip(rows)
            .collect();
        let zero = AtomicUsize::default;
        let model = Self {
            dim,
            rows,
            queries: zero(),
            documents: zero(),
            largest: zero(),
        };
        (
            RetrievalData {
                queries,
                corpus,
                relevant,
            },
            model,
        )
    }

    /// Number of queries and documents encoded.
    pub fn encoded(&self) -> (usize, usize) {
        (
            self.queries.load(Ordering::Relaxed),
            self.documents.load(Ordering::Relaxed),
        )
    }

    /// Most texts in one call.
    pub fn largest_call(&self) -> usize {
        self.largest.load(Ordering::Relaxed)
    }
}

impl Embed for Fixed {
    fn dim(&self) -> usize {
        self.dim
    }

    fn embed(&self, texts: &[&str], role: Role) -> Result<Mat, ModelError> {
        let count = match role {
            Role::Query => &self.queries,
            Role::Document => &self.documents,
            Role::Plain => panic!("retrieval knows the role of every text"),
        };
        count.fetch_add(texts.len(), Ordering::Relaxed);
        self.largest.fetch_max(texts.len(), Ordering::Relaxed);
        let rows = texts
            .iter()
            .flat_map(|text| self.rows[*text].iter().copied())
            .collect();
        Ok(Mat::from_vec(texts.len(), self.dim, rows))
    }
}
