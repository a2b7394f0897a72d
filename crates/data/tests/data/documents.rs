//! Documents from every kind of file, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};

use matryo_data::{DataError, Document, DocumentColumns, check_documents, read_documents};
use serde_json::{Value, json};

fn written(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

fn documents(path: &Path, columns: &DocumentColumns) -> Result<Vec<Document>, DataError> {
    let mut found = Vec::new();
    read_documents::<DataError>(path, columns, |document| {
        found.push(document);
        Ok(())
    })?;
    Ok(found)
}

fn read(name: &str, content: &str) -> Result<Vec<Document>, DataError> {
    let dir = tempfile::tempdir().unwrap();
    documents(
        &written(dir.path(), name, content),
        &DocumentColumns::default(),
    )
}

fn refused(name: &str, content: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), name, content);
    check_documents(&path, &DocumentColumns::default())
        .unwrap_err()
        .to_string()
}

fn fields(document: &Document) -> Value {
    Value::Object(document.fields.clone())
}

#[test]
fn json_lines_keep_the_type_of_every_field() {
    let found = read(
        "a.jsonl",
        r#"{"_id": 7, "title": "T", "text": "x", "year": 2020, "tags": ["a"], "n": null}"#,
    )
    .unwrap();
    assert_eq!((found[0].id.as_str(), found[0].text.as_str()), ("7", "T x"));
    assert_eq!(
        fields(&found[0]),
        json!({"title": "T", "year": 2020, "tags": ["a"]})
    );
}

#[test]
fn a_title_may_be_missing() {
    let found = read(
        "a.jsonl",
        "{\"id\":\"a\",\"title\":\"T\",\"text\":\"x\"}\n{\"id\":\"b\",\"text\":\"y\"}",
    )
    .unwrap();
    assert_eq!(
        (found[0].text.as_str(), found[1].text.as_str()),
        ("T x", "y")
    );
}

#[test]
fn fields_of_csv_are_typed_but_not_id_and_text() {
    let found = read(
        "a.csv",
        "id,text,year,zip,ok,none\n1.0,2020,2020,007,true,\n",
    )
    .unwrap();
    assert_eq!(
        (found[0].id.as_str(), found[0].text.as_str()),
        ("1.0", "2020")
    );
    assert_eq!(
        fields(&found[0]),
        json!({"year": 2020, "zip": "007", "ok": true})
    );
}

#[test]
fn a_line_of_text_is_called_by_its_digest_and_a_blank_one_is_none() {
    let found = read("a.txt", "one\n\ntwo\none\n").unwrap();
    assert_eq!(
        found.iter().map(|d| d.text.as_str()).collect::<Vec<_>>(),
        ["one", "two", "one"]
    );
    assert_eq!(found[0].id, found[2].id);
    assert_ne!(found[0].id, found[1].id);
}

#[test]
fn a_folder_gives_its_text_files_by_path() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("b.txt", "B"),
        ("sub/a.md", "A"),
        (".hidden/x.txt", "no"),
        ("c.pdf", "no"),
    ] {
        written(dir.path(), name, text);
    }
    let found = documents(dir.path(), &DocumentColumns::default()).unwrap();
    let named: Vec<_> = found
        .iter()
        .map(|d| (d.id.as_str(), d.text.as_str()))
        .collect();
    assert_eq!(named, [("b.txt", "B"), ("sub/a.md", "A")]);
}

#[test]
fn columns_can_be_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), "a.csv", "key,question,answer,x,y\nk,q,a,1,2\n");
    let columns = DocumentColumns {
        id: Some("key".into()),
        text: vec!["question".into(), "answer".into()],
        fields: Some(vec!["y".into()]),
        embedding: None,
    };
    let found = documents(&path, &columns).unwrap();
    assert_eq!((found[0].id.as_str(), found[0].text.as_str()), ("k", "q a"));
    assert_eq!(fields(&found[0]), json!({"y": 2}));
}

fn with_embeddings() -> DocumentColumns {
    DocumentColumns {
        embedding: Some("vector".into()),
        ..DocumentColumns::default()
    }
}

#[test]
fn embeddings_come_as_lists_or_as_their_text() {
    let dir = tempfile::tempdir().unwrap();
    let lines = written(
        dir.path(),
        "a.jsonl",
        r#"{"id": "a", "text": "x", "vector": [0.5, -1], "n": 1}"#,
    );
    let table = written(
        dir.path(),
        "a.csv",
        "id,text,vector,n\na,x,\"[0.5, -1.0]\",1\n",
    );
    for path in [lines, table] {
        let found = documents(&path, &with_embeddings()).unwrap();
        assert_eq!(found[0].embedding.as_deref(), Some(&[0.5, -1.0][..]));
        assert_eq!(fields(&found[0]), json!({"n": 1}));
        assert_eq!(
            documents(&path, &DocumentColumns::default()).unwrap()[0].embedding,
            None
        );
    }
}

#[test]
fn embeddings_that_are_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |name: &str, content: &str| {
        let path = written(dir.path(), name, content);
        check_documents(&path, &with_embeddings())
            .unwrap_err()
            .to_string()
    };
    let row = |vector: &str| format!("{{\"id\": \"a\", \"text\": \"x\", \"vector\": {vector}}}\n");
    for (vector, found) in [
        ("\"no\"", "a text"),
        ("[1, \"2\"]", "another list"),
        ("[]", "another list"),
        ("1", "a number"),
    ] {
        let error = refused("a.jsonl", &row(vector));
        let expected = format!("column `vector` holds {found}, expected a list of finite numbers");
        assert!(
            error.starts_with(&expected) && error.contains("line 1"),
            "{error}"
        );
    }
    assert!(refused("a.jsonl", &row("[1e999]")).contains("number out of range"));
    assert!(refused("a.jsonl", &row("null")).starts_with("column `vector` is null"));
    let widths = refused(
        "a.jsonl",
        &(row("[1, 2]") + &row("[1]").replace("\"a\"", "\"b\"")),
    );
    assert!(
        widths.starts_with("the embedding has 1 values, the first has 2")
            && widths.contains("line 2"),
        "{widths}"
    );
    written(dir.path(), "texts/a.txt", "x");
    let texts = check_documents(&dir.path().join("texts"), &with_embeddings())
        .unwrap_err()
        .to_string();
    assert!(texts.starts_with("no column `vector`"), "{texts}");
}

#[test]
fn a_folder_gives_the_rows_of_its_parquet_files() {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mixed.parquet");
    fs::copy(golden, dir.path().join("a.parquet")).unwrap();
    written(dir.path(), "b.txt", "B");
    let columns = DocumentColumns {
        text: vec!["anchor".into()],
        ..DocumentColumns::default()
    };
    let found = documents(dir.path(), &columns).unwrap();
    assert!(
        found.len() > 1 && found[0].fields["tags"].is_array(),
        "{found:?}"
    );
    assert_eq!(found.last().unwrap().text, "B");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let twice = refused(
        "a.jsonl",
        "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"a\",\"text\":\"y\"}",
    );
    assert!(
        twice.contains("id `a` is there twice, first at line 1") && twice.contains("line 2"),
        "{twice}"
    );
    let missing = refused("a.jsonl", "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"b\"}");
    assert!(
        missing.contains("no column `text`") && missing.contains("line 2"),
        "{missing}"
    );
    let null = refused("a.jsonl", "{\"id\":null,\"text\":\"x\"}");
    assert!(null.contains("column `id` is null"), "{null}");
    let empty = refused("a.jsonl", "{\"id\":\"\",\"text\":\"x\"}");
    assert!(empty.contains("expected an id"), "{empty}");
    let ambiguous = refused("a.csv", "one,two\na,b\n");
    assert!(
        ambiguous.contains("which column holds the texts"),
        "{ambiguous}"
    );
    assert!(refused("a.jsonl", "\n").contains("no rows"));
    assert!(refused("a.jsonl", "[1]").contains("a list"));
}

#[test]
fn texts_that_occur_twice_without_ids_count_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), "a.txt", "one\ntwo\none\n");
    assert_eq!(
        check_documents(&path, &DocumentColumns::default()).unwrap(),
        2
    );
}

#[test]
fn reading_ends_with_the_error_of_who_takes() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), "a.txt", "one\ntwo\nthree\n");
    let mut taken = 0;
    let done = read_documents(&path, &DocumentColumns::default(), |_| {
        taken += 1;
        if taken == 2 {
            Err(DataError::EmptyId {
                at: at(&path),
                column: "x".into(),
            })
        } else {
            Ok(())
        }
    });
    assert!(matches!(done, Err(DataError::EmptyId { .. })));
    assert_eq!(taken, 2);
}

fn at(path: &Path) -> matryo_data::Location {
    matryo_data::Location::file(path)
}
