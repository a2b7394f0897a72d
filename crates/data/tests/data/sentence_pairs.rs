//! Pairs of sentences with and without scores, in every format.

use std::sync::Arc;

use crate::folder::Folder;
use arrow_array::{ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray};
use matryo_data::{DataError, PairColumns, SentencePairs};
use parquet::arrow::ArrowWriter;

fn pairs(scores: Option<&[f64]>) -> SentencePairs {
    let owned = |texts: [&str; 2]| texts.map(str::to_owned).to_vec();
    SentencePairs {
        sentences1: owned(["A man.", "Rain, again."]),
        sentences2: owned(["A person.", "Sun."]),
        scores: scores.map(<[f64]>::to_vec),
    }
}

fn open(
    name: &str,
    content: &str,
    columns: Option<&PairColumns>,
) -> Result<SentencePairs, DataError> {
    let folder = Folder::new();
    SentencePairs::open(&folder.write(name, content), columns)
}

#[test]
fn jsonl_and_csv() {
    let jsonl = "{\"sentence1\": \"A man.\", \"sentence2\": \"A person.\", \"score\": 4.5, \"genre\": \"x\"}\n\
        {\"score\": 0, \"sentence2\": \"Sun.\", \"sentence1\": \"Rain, again.\", \"genre\": \"y\"}\n";
    assert_eq!(
        open("a.jsonl", jsonl, None).unwrap(),
        pairs(Some(&[4.5, 0.0]))
    );
    let csv = "sentence1,sentence2,score\nA man.,A person.,4.5\n\"Rain, again.\",Sun., 0\n";
    assert_eq!(open("a.csv", csv, None).unwrap(), pairs(Some(&[4.5, 0.0])));
    let without = "sentence2\tsentence1\nA person.\tA man.\nSun.\tRain, again.\n";
    assert_eq!(open("a.tsv", without, None).unwrap(), pairs(None));
}

#[test]
fn columns_can_be_named() {
    let csv = "left,right,gold,score\nA man.,A person.,4.5,x\n\"Rain, again.\",Sun.,0,y\n";
    let sentences = ["left".to_owned(), "right".to_owned()];
    let columns = PairColumns {
        sentences: sentences.clone(),
        score: Some("gold".to_owned()),
    };
    assert_eq!(
        open("a.csv", csv, Some(&columns)).unwrap(),
        pairs(Some(&[4.5, 0.0]))
    );
    let columns = PairColumns {
        sentences,
        score: None,
    };
    assert_eq!(open("a.csv", csv, Some(&columns)).unwrap(), pairs(None));
}

#[test]
fn parquet_holds_numbers() {
    let text = |values: [&str; 2]| Arc::new(StringArray::from_iter_values(values)) as ArrayRef;
    let floats = Arc::new(Float32Array::from(vec![4.5, 0.0])) as ArrayRef;
    let whole = Arc::new(Int64Array::from(vec![5, 0])) as ArrayRef;
    for (scores, expected) in [(floats, [4.5, 0.0]), (whole, [5.0, 0.0])] {
        let columns = [
            ("sentence1", text(["A man.", "Rain, again."])),
            ("sentence2", text(["A person.", "Sun."])),
            ("score", scores),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let folder = Folder::new();
        let path = folder.path().join("a.parquet");
        let mut writer =
            ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), None)
                .unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert_eq!(
            SentencePairs::open(&path, None).unwrap(),
            pairs(Some(&expected))
        );
    }
}

#[test]
fn what_is_wrong_is_named() {
    let refused = |content: &str| open("a.jsonl", content, None).unwrap_err().to_string();
    let row = |score: &str| {
        format!("{{\"sentence1\": \"a\", \"sentence2\": \"b\", \"score\": {score}}}\n")
    };
    for (score, found) in [
        ("\"high\"", "`high`"),
        ("null", "null"),
        ("[1]", "a list"),
        ("\"nan\"", "`nan`"),
    ] {
        let message = refused(&(row("1") + &row(score)));
        assert!(
            message.starts_with(&format!("column `score` holds {found}, expected a number")),
            "{message}"
        );
        assert!(message.ends_with("a.jsonl, line 2"), "{message}");
    }
    assert!(refused("").starts_with("no rows"));
    let message = refused("{\"sentence1\": \"a\", \"sentence\": \"b\"}\n");
    assert!(
        message.starts_with("no column `sentence2`, found `sentence1`, `sentence`"),
        "{message}"
    );
    let message = refused(&row("1").replace("\"a\"", "7"));
    assert!(
        message.starts_with("column `sentence1` holds a number, expected text"),
        "{message}"
    );
}
