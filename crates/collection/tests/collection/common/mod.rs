//! A tiny model, documents and collections in folders of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use matryo_collection::{AddOptions, AddReport, Collection, CollectionError, CreateOptions, Place};
use matryo_data::DocumentColumns;
use matryo_model::SentenceEncoder;
use matryo_testkit::tiny_bert;
use serde_json::{Value, json};
use tempfile::TempDir;

pub fn model() -> &'static SentenceEncoder {
    static MODEL: OnceLock<SentenceEncoder> = OnceLock::new();
    MODEL.get_or_init(|| SentenceEncoder::open(tiny_bert()).unwrap())
}

/// A folder for a collection and its documents.
pub struct Workplace(TempDir);

impl Workplace {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn place(&self) -> Place {
        Place::Folder(self.path("collection"))
    }

    pub fn documents(&self, rows: &[Value]) -> PathBuf {
        let path = self.path("documents.jsonl");
        fs::write(
            &path,
            rows.iter()
                .map(|row| format!("{row}\n"))
                .collect::<String>(),
        )
        .unwrap();
        path
    }

    /// The model with one bit changed.
    pub fn other_model(&self) -> SentenceEncoder {
        let other = self.path("other");
        copy(&tiny_bert(), &other);
        let file = other.join("model.safetensors");
        let mut tensors = fs::read(&file).unwrap();
        *tensors.last_mut().unwrap() ^= 1;
        fs::write(file, tensors).unwrap();
        SentenceEncoder::open(&other).unwrap()
    }

    pub fn make(&self, options: &CreateOptions, rows: &[Value]) -> Collection {
        let collection = open_or_create(&self.place(), options).unwrap();
        add(&collection, &self.documents(rows)).unwrap();
        collection
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target)
        } else {
            fs::copy(&path, &target).map(|_| ()).unwrap()
        }
    }
}

pub fn open_or_create(
    place: &Place,
    options: &CreateOptions,
) -> Result<Collection, CollectionError> {
    Collection::open_or_create(place, model(), "tiny", options)
}

pub fn add(collection: &Collection, path: &Path) -> Result<AddReport, CollectionError> {
    collection.add(
        model(),
        path,
        &DocumentColumns::default(),
        &AddOptions::default(),
    )
}

/// Documents about different things, with fields to filter by.
pub fn library() -> Vec<Value> {
    let texts = [
        "goodwill is the excess of the price paid over the fair value",
        "revenue is recognised when control passes to the customer",
        "leases are shown as assets with a right of use",
        "the board approved a dividend for the third quarter",
        "inventories are measured at the lower of cost and value",
        "cash equivalents are held for short term needs",
        "the company repurchased shares in the open market",
        "deferred tax assets depend on future profits",
    ];
    let row = |(i, text): (usize, &&str)| {
        json!({ "id": format!("d{i}"), "text": text, "year": 2016 + i, "region": if i % 2 == 0 { "EU" } else { "US" },
                "tags": [format!("t{}", i % 3)], "share": i as f64 / 8.0, "audited": i < 4 })
    };
    texts.iter().enumerate().map(row).collect()
}
