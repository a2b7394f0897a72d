//! Retrieval data from BEIR folders and pairs files.

use std::path::Path;

use crate::folder::Folder;
use matryo_data::{DataError, RetrievalData};

const CORPUS: &str = "{\"_id\": \"d1\", \"title\": \" Revenue\", \"text\": \"rose. \"}\n\
    {\"_id\": \"d0\", \"title\": \"\", \"text\": \"fell.\"}\n{\"_id\": \"d2\", \"text\": \" bare \", \"metadata\": {\"url\": null}}\n";
const QUERIES: &str =
    "{\"_id\": \"q1\", \"text\": \"What rose?\"}\n{\"_id\": \"q0\", \"text\": \"What fell?\"}\n";
const QRELS: &str = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t1\nq1\td0\t0\nq0\td0\t1\n";

fn beir(corpus: &str, queries: &str, qrels: &[(&str, &str)]) -> Folder {
    let folder = Folder::new();
    folder.write("corpus.jsonl", corpus);
    folder.write("queries.jsonl", queries);
    qrels
        .iter()
        .for_each(|(name, text)| drop(folder.write(name, text)));
    folder
}

fn open(folder: &Folder) -> Result<RetrievalData, DataError> {
    RetrievalData::open(folder.path())
}

fn texts<const N: usize>(expected: [(&str, &str); N]) -> Vec<(String, String)> {
    expected
        .map(|(id, text)| (id.to_owned(), text.to_owned()))
        .to_vec()
}

fn relevant(data: &RetrievalData, query: &str) -> Vec<String> {
    data.relevant[query].iter().cloned().collect()
}

fn refused(corpus: &str, queries: &str, qrels: &[(&str, &str)]) -> String {
    let folder = beir(corpus, queries, qrels);
    let message = open(&folder).unwrap_err().to_string();
    message
        .replace(&format!("{}/", folder.path().display()), "")
        .replace(&folder.path().display().to_string(), "FOLDER")
}

#[test]
fn beir_folder() {
    let data = open(&beir(CORPUS, QUERIES, &[("qrels.tsv", QRELS)])).unwrap();
    assert_eq!(
        data.queries,
        texts([("q1", "What rose?"), ("q0", "What fell?")])
    );
    assert_eq!(
        data.corpus,
        texts([("d1", "Revenue rose."), ("d0", "fell."), ("d2", " bare ")])
    );
    assert_eq!(relevant(&data, "q1"), ["d1", "d2"]);
    assert_eq!(relevant(&data, "q0"), ["d0"]);

    let no_header = QRELS.split_once('\n').unwrap().1;
    for qrels in [
        &[("qrels.tsv", no_header)][..],
        &[("qrels/test.tsv", QRELS), ("qrels/train.tsv", "x")],
        &[("qrels/dev.tsv", QRELS)],
    ] {
        let other = open(&beir(CORPUS, QUERIES, qrels)).unwrap();
        assert_eq!(other, data, "{qrels:?}");
        assert_eq!(other.fingerprint(), data.fingerprint());
    }
    let fewer = open(&beir(CORPUS, QUERIES, &[("qrels.tsv", "q1\td1\t1\n")])).unwrap();
    assert_ne!(fewer.fingerprint(), data.fingerprint());
}

#[test]
fn beir_folder_with_faults() {
    let qrels = |text| [("qrels.tsv", text)];
    let of = |text| refused(CORPUS, QUERIES, &qrels(text));
    assert_eq!(
        of("h\th\th\nq9\td1\t1\n"),
        "unknown query id `q9`\n  in qrels.tsv, line 2"
    );
    assert_eq!(
        of("q1\td9\t1\n"),
        "unknown document id `d9`\n  in qrels.tsv, line 1"
    );
    assert_eq!(
        of("q1\td1\t1\nq1\td1\tx\n"),
        "score is `x`, expected a number\n  in qrels.tsv, line 2"
    );
    assert_eq!(
        of("q1\td1\n"),
        "the row has 2 fields, expected 3\n  in qrels.tsv, line 1"
    );
    assert_eq!(
        of("q1\td1\t0\n"),
        "no relevant pair: no score is above 0\n  in FOLDER"
    );
    let twice = format!("{QUERIES}{{\"_id\": \"q1\", \"text\": \"again\"}}\n");
    assert_eq!(
        refused(CORPUS, &twice, &qrels(QRELS)),
        "id `q1` is there twice, first at line 1\n  in queries.jsonl, line 3"
    );
    let number = "{\"_id\": 1, \"text\": \"x\"}\n";
    assert_eq!(
        refused(number, QUERIES, &qrels(QRELS)),
        "column `_id` holds a number, expected text\n  in corpus.jsonl, line 1"
    );
    assert_eq!(
        refused(CORPUS, "", &qrels(QRELS)),
        "no rows\n  in queries.jsonl"
    );
    assert_eq!(refused(CORPUS, QUERIES, &[]), "no `qrels.tsv`\n  in FOLDER");
    assert_eq!(
        refused(
            CORPUS,
            QUERIES,
            &[("qrels/dev.tsv", QRELS), ("qrels/train.tsv", QRELS)]
        ),
        "which judgements? found `dev.tsv`, `train.tsv`\n  in qrels"
    );
    let folder = Folder::new();
    folder.write("queries.jsonl", QUERIES);
    assert!(
        open(&folder)
            .unwrap_err()
            .to_string()
            .starts_with("no `corpus.jsonl`")
    );
}

#[test]
fn pairs_file() {
    let folder = Folder::new();
    let read = |name: &str, text: &str| RetrievalData::open(&folder.write(name, text));
    let data = read(
        "a.csv",
        "id,positive,anchor\n7,p,x?\n8,r,y?\n9,p,z?\n9,s,x?\n",
    )
    .unwrap();
    assert_eq!(
        data.queries,
        texts([("q0", "x?"), ("q1", "y?"), ("q2", "z?")])
    );
    assert_eq!(data.corpus, texts([("d0", "p"), ("d1", "r"), ("d2", "s")]));
    assert_eq!(relevant(&data, "q0"), ["d0", "d2"]);
    assert_eq!(relevant(&data, "q2"), ["d0"]);

    let same = [
        ("b.csv", "first,second\nx?,p\n"),
        ("c.csv", "whatever,question\np,x?\n"),
        ("d.csv", "context,whatever\np,x?\n"),
        (
            "e.jsonl",
            "{\"sentence1\": \"x?\", \"sentence2\": \"p\", \"score\": 1}\n",
        ),
    ];
    for (name, text) in same {
        let data = read(name, text).unwrap();
        assert_eq!(
            (data.queries, data.corpus),
            (texts([("q0", "x?")]), texts([("d0", "p")])),
            "{name}"
        );
    }
    let error = read("f.csv", "anchor\nx?\n").unwrap_err().to_string();
    assert!(
        error.starts_with("one column, `anchor`, expected a question and a passage"),
        "{error}"
    );
    assert!(matches!(
        read("g.csv", "anchor,positive\n"),
        Err(DataError::Empty { .. })
    ));
    assert!(matches!(
        RetrievalData::open(Path::new("nowhere.csv")),
        Err(DataError::File(_))
    ));
}
