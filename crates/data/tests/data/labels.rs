//! Labels: numbers beside the texts of a data set, and names of classes.

use std::path::Path;

use crate::folder::Folder;
use matryo_data::{Columns, DataError, Dataset, LabelledTexts, Rows, read_labelled_texts};

const JSONL: &str = "{\"s1\": \"a\", \"score\": 0.5, \"s2\": \"b\"}\n{\"s2\": \"d\", \"s1\": \"c\", \"score\": 1}\n";

fn labels(rows: &Dataset) -> Vec<Option<f32>> {
    (0..rows.len()).map(|row| rows.label(row)).collect()
}

fn message(error: &DataError, path: &Path) -> String {
    let hint = error
        .hint()
        .map(|hint| format!("\nhint: {hint}"))
        .unwrap_or_default();
    format!("{error}{hint}").replace(&format!("{}/", path.parent().unwrap().display()), "")
}

#[test]
fn a_label_is_none_of_the_columns() {
    let folder = Folder::new();
    let files = [
        folder.write("a.jsonl", JSONL),
        folder.write("a.csv", "score,s1,s2\n0.5,a,b\n 1 ,c,d\n"),
    ];
    let prints = files.map(|path| {
        let rows = Dataset::open(&path, &Columns::All).unwrap();
        assert_eq!(
            (rows.columns(), rows.label_column()),
            (&["s1".to_owned(), "s2".to_owned()][..], Some("score"))
        );
        assert_eq!(
            (labels(&rows), rows.text(1, 1)),
            (vec![Some(0.5), Some(1.0)], "d")
        );
        rows.fingerprint()
    });
    assert_eq!(prints[0], prints[1]);
    let taken = Columns::Mapped {
        take: vec!["s2".into(), "score".into(), "s1".into()],
        ignore: vec![],
    };
    let rows = Dataset::open(&folder.write("b.jsonl", JSONL), &taken).unwrap();
    assert_eq!(
        (rows.columns(), rows.text(0, 0), rows.label(0)),
        (&["s2".to_owned(), "s1".to_owned()][..], "b", Some(0.5))
    );
    let ignored = Columns::Mapped {
        take: vec![],
        ignore: vec!["score".into()],
    };
    let rows = Dataset::open(&folder.write("c.jsonl", JSONL), &ignored).unwrap();
    assert_eq!(
        (rows.label_column(), rows.label(0), rows.columns().len()),
        (None, None, 2)
    );
    assert_ne!(rows.fingerprint(), prints[0], "labels are part of the data");
}

#[test]
fn rows_in_memory_can_have_labels() {
    let folder = Folder::new();
    let read = Dataset::open(&folder.write("a.jsonl", JSONL), &Columns::All).unwrap();
    let columns = vec![vec!["a".into(), "c".into()], vec!["b".into(), "d".into()]];
    let made = Dataset::from_columns(vec!["s1".into(), "s2".into()], columns);
    assert_eq!(
        made.with_labels("score".into(), vec![0.5, 1.0])
            .fingerprint(),
        read.fingerprint()
    );
}

#[test]
fn a_parquet_label_may_be_a_number() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mixed.parquet");
    let ignore = Columns::Mapped {
        take: vec![],
        ignore: vec!["tags".into()],
    };
    let rows = Dataset::open(&path, &ignore).unwrap();
    assert_eq!(
        (rows.label_column(), rows.columns().len()),
        (Some("label"), 2)
    );
    assert!(labels(&rows).iter().all(Option::is_some));
    let classes = read_labelled_texts(&path, "anchor", "label").unwrap();
    let number = |label: &String| label.parse::<f32>().ok();
    assert_eq!(
        classes.labels.iter().map(number).collect::<Vec<_>>(),
        labels(&rows)
    );
}

#[test]
fn what_is_no_number_is_no_label_of_a_pair() {
    let refused = |value: &str| {
        let folder = Folder::new();
        let path = folder.write("a.jsonl", format!("{{\"s\": \"a\", \"label\": {value}}}\n"));
        message(&Dataset::open(&path, &Columns::All).unwrap_err(), &path)
    };
    for (value, found) in [
        ("\"high\"", "`high`"),
        ("null", "null"),
        ("[1]", "a list"),
        ("\"NaN\"", "`NaN`"),
    ] {
        let text = refused(value);
        assert!(
            text.starts_with(&format!(
                "column `label` holds {found}, expected a number\n  in a.jsonl, line 1\nhint: label, "
            )),
            "{text}"
        );
    }
}

#[test]
fn classes_are_texts_or_numbers() {
    let folder = Folder::new();
    let rows = "{\"text\": \"a\", \"label\": \"x\", \"id\": [1]}\n{\"text\": \"b\", \"label\": 7, \"id\": 0}\n";
    let texts = |list: [&str; 2]| list.map(str::to_owned).to_vec();
    let expected = LabelledTexts {
        texts: texts(["a", "b"]),
        labels: texts(["x", "7"]),
    };
    assert_eq!(
        read_labelled_texts(&folder.write("a.jsonl", rows), "text", "label").unwrap(),
        expected
    );
    let path = folder.write("b.csv", "label,text\nx,a\n7,b\n");
    assert_eq!(
        read_labelled_texts(&path, "text", "label").unwrap(),
        expected
    );
}

#[test]
fn classes_without_a_name_are_refused() {
    let refused = |value: &str| {
        let folder = Folder::new();
        let path = folder.write(
            "a.jsonl",
            format!(
                "{{\"text\": \"a\", \"label\": \"x\"}}\n{{\"text\": \"b\", \"label\": {value}}}\n"
            ),
        );
        message(
            &read_labelled_texts(&path, "text", "label").unwrap_err(),
            &path,
        )
    };
    assert_eq!(
        refused("\" \""),
        "column `label` is empty, expected a label\n  in a.jsonl, line 2\nhint: remove the row, or give it a label"
    );
    assert!(refused("null").starts_with("column `label` is null"));
    assert!(refused("true").starts_with("column `label` holds true or false, expected text"));
}
