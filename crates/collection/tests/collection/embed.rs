//! Embeddings from elsewhere: written once, taken as they are, and refused where they are another model's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::common::{self, Workplace, library, model, open_or_create};
use matryo_collection::{
    AddOptions, AddReport, Collection, CollectionError, CreateOptions, EmbedOptions, EmbedReport,
    SearchOptions, embed_documents,
};
use matryo_data::{Document, DocumentColumns, read_documents};
use serde_json::{Value, json};

fn embed(documents: &Path, folder: &Path, per_file: usize) -> Result<EmbedReport, CollectionError> {
    let options = EmbedOptions {
        documents_per_file: per_file,
        ..EmbedOptions::default()
    };
    embed_documents(
        model(),
        &[documents.to_owned()],
        &DocumentColumns::default(),
        folder,
        &options,
    )
}

fn with_embeddings() -> DocumentColumns {
    DocumentColumns {
        embedding: Some("embedding".to_owned()),
        ..DocumentColumns::default()
    }
}

fn add_embedded(collection: &Collection, path: &Path) -> Result<AddReport, CollectionError> {
    collection.add(model(), path, &with_embeddings(), &AddOptions::default())
}

fn read(path: &Path, columns: &DocumentColumns) -> Vec<Document> {
    let mut found = Vec::new();
    read_documents::<CollectionError>(path, columns, |document| {
        found.push(document);
        Ok(())
    })
    .unwrap();
    found
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Rows with titles, lists, and values of several types in one field.
fn rows() -> Vec<Value> {
    let mut rows = library();
    rows[1]["title"] = json!("Revenue");
    rows[2]["mixed"] = json!("text");
    rows[3]["mixed"] = json!({ "a": [1, null] });
    rows
}

#[test]
fn documents_come_back_as_they_were() {
    let work = Workplace::new();
    let (documents, folder) = (work.documents(&rows()), work.path("parts"));
    let report = embed(&documents, &folder, 3).unwrap();
    assert_eq!(
        report,
        EmbedReport {
            documents: 8,
            files: 3,
            unchanged: 0,
            truncated: 0
        }
    );
    assert_eq!(
        files(&folder),
        [
            "part-00000.parquet",
            "part-00001.parquet",
            "part-00002.parquet"
        ]
    );
    let (before, after) = (
        read(&documents, &DocumentColumns::default()),
        read(&folder, &with_embeddings()),
    );
    let texts: Vec<&str> = before
        .iter()
        .map(|document| document.text.as_str())
        .collect();
    let embeddings = model().encode(&texts).unwrap();
    for (row, (before, mut after)) in before.into_iter().zip(after).enumerate() {
        assert_eq!(
            after.embedding.take().unwrap(),
            embeddings.row(row),
            "{}",
            before.id
        );
        let mut expected = before.clone();
        if let Some(mixed) = expected
            .fields
            .get_mut("mixed")
            .filter(|mixed| mixed.is_object())
        {
            *mixed = mixed.to_string().into();
        }
        let sorted = |document: &Document| serde_json::to_value(&document.fields).unwrap();
        assert_eq!(
            (&after.id, &after.text, sorted(&after)),
            (&expected.id, &expected.text, sorted(&expected))
        );
    }
}

#[test]
fn complete_files_stay_and_others_are_made() {
    let work = Workplace::new();
    let (documents, folder) = (work.documents(&rows()), work.path("parts"));
    embed(&documents, &folder, 3).unwrap();
    let part = |number: usize| folder.join(format!("part-0000{number}.parquet"));
    let first = fs::read(part(0)).unwrap();
    fs::remove_file(part(1)).unwrap();
    assert_eq!(embed(&documents, &folder, 3).unwrap().unchanged, 5);
    assert_eq!(fs::read(part(0)).unwrap(), first);
    // A change in one document touches its file alone, and fewer documents leave no file behind.
    let mut changed = rows();
    changed[4]["year"] = json!(1999);
    assert_eq!(
        embed(&work.documents(&changed), &folder, 3)
            .unwrap()
            .unchanged,
        5
    );
    let report = embed(&work.documents(&changed[..4]), &folder, 3).unwrap();
    assert_eq!((report.files, report.unchanged), (2, 3));
    assert_eq!(files(&folder).len(), 2);
}

#[test]
fn what_others_wrote_is_not_replaced() {
    let work = Workplace::new();
    let (documents, folder) = (work.documents(&rows()), work.path("parts"));
    embed(&documents, &folder, 100).unwrap();
    let options = EmbedOptions {
        documents_per_file: 100,
        ..EmbedOptions::default()
    };
    let error = embed_documents(
        &work.other_model(),
        std::slice::from_ref(&documents),
        &DocumentColumns::default(),
        &folder,
        &options,
    );
    assert!(
        matches!(
            error,
            Err(CollectionError::OtherShard {
                of: "of another model",
                ..
            })
        ),
        "{error:?}"
    );
    fs::write(folder.join("part-00000.parquet"), "no Parquet").unwrap();
    let error = embed(&documents, &folder, 100).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot read ") && error.to_string().contains("part-00000"),
        "{error}"
    );
    let rows = [json!({ "id": "a", "text": "x", "content": "y" })];
    let error = embed(&work.documents(&rows), &work.path("more"), 9).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("document `a` has a field called `content`"),
        "{error}"
    );
}

#[test]
fn embeddings_are_taken_as_they_are() {
    let work = Workplace::new();
    let (documents, folder) = (work.documents(&rows()), work.path("parts"));
    embed(&documents, &folder, 3).unwrap();
    let collection = open_or_create(&work.place(), &CreateOptions::default()).unwrap();
    let report = add_embedded(&collection, &folder).unwrap();
    assert_eq!((report.added, report.chunks, report.truncated), (8, 8, 0));
    assert_eq!(add_embedded(&collection, &folder).unwrap().unchanged, 8);
    let elsewhere = Workplace::new();
    let twin = elsewhere.make(&CreateOptions::default(), &rows());
    for question in ["goodwill", "what does the board decide"] {
        let search = |collection: &Collection| {
            let found = collection
                .searcher(model())
                .unwrap()
                .search(question, &SearchOptions::default())
                .unwrap();
            found
                .into_iter()
                .map(|found| (found.id, found.score))
                .collect::<Vec<_>>()
        };
        assert_eq!(search(&collection), search(&twin));
    }
}

fn with_vector(work: &Workplace, change: impl Fn(usize, &mut Vec<f32>)) -> PathBuf {
    let texts: Vec<String> = library()
        .iter()
        .map(|row| row["text"].as_str().unwrap().to_owned())
        .collect();
    let embeddings = model().encode(&texts).unwrap();
    let mut rows = library();
    for (i, row) in rows.iter_mut().enumerate() {
        let mut vector = embeddings.row(i).to_vec();
        change(i, &mut vector);
        row["embedding"] = json!(vector);
    }
    work.documents(&rows)
}

#[test]
fn embeddings_of_another_model_are_refused_before_any_is_written() {
    let work = Workplace::new();
    let collection = open_or_create(&work.place(), &CreateOptions::default()).unwrap();
    let other = with_vector(&work, |_, vector| {
        vector
            .iter_mut()
            .step_by(2)
            .for_each(|value| *value = -*value)
    });
    let error = add_embedded(&collection, &other).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is not what the model makes of its text"),
        "{error}"
    );
    let wide = with_vector(&work, |i, vector| {
        vector.resize(if i == 7 { 33 } else { 32 }, 0.0)
    });
    let error = add_embedded(&collection, &wide).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the embedding of document `d7` has 33 values, expected 32"
    );
    let error = common::add(&collection, &wide).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("document `d0` has a field called `embedding`"),
        "{error}"
    );
    assert_eq!(collection.info().unwrap().points, 0);
    // Rounded values of the same model are the model's.
    let rounded = with_vector(&work, |_, vector| {
        vector
            .iter_mut()
            .for_each(|x| *x = (*x * 100.0).round() / 100.0)
    });
    assert_eq!(add_embedded(&collection, &rounded).unwrap().added, 8);
}
