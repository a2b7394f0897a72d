//! `matryo index` and `matryo search`: documents in, answers out.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::common::{json_lines, model, model_copy, run, run_with};

const DOCUMENTS: &str = r#"{"id": "a", "title": "Goodwill", "text": "the excess of the price paid", "year": 2020}
{"id": "b", "title": "Leases", "text": "a right of use of an asset", "year": 2018}
{"id": "c", "title": "Cash", "text": "held for short term needs", "year": 2022}
"#;

struct Workplace(tempfile::TempDir);

impl Workplace {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn collection(&self) -> String {
        self.0
            .path()
            .join("collection")
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn filled(&self) -> String {
        let (documents, collection) = (self.file("docs.jsonl", DOCUMENTS), self.collection());
        run(&[
            "index",
            "add",
            &collection,
            "--model",
            &model(),
            &documents,
            "--hybrid",
            "--dims",
            "8",
        ])
        .ok();
        collection
    }
}

fn info(collection: &str) -> Value {
    run(&["index", "info", collection, "--json"]).json()
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["id"].as_str().unwrap())
        .collect()
}

#[test]
fn documents_are_added_found_changed_and_deleted() {
    let work = Workplace::new();
    let collection = work.filled();
    let found = run(&[
        "search",
        &collection,
        "Goodwill the excess of the price paid",
        "--json",
    ])
    .json();
    assert_eq!(ids(&found)[0], "a");
    assert_eq!(
        found["results"][0]["fields"],
        json!({ "title": "Goodwill", "year": 2020 })
    );
    let table = run(&[
        "search",
        &collection,
        "Leases a right of use of an asset",
        "--top",
        "1",
    ])
    .ok();
    assert_eq!(table, "1.000000\tb\tLeases a right of use of an asset\n");
    let filtered = run(&[
        "search",
        &collection,
        "x",
        "--filter",
        "year >= 2020",
        "--json",
    ])
    .json();
    assert_eq!(
        ids(&filtered).into_iter().collect::<BTreeSet<_>>(),
        ["a", "c"].into()
    );
    for flags in [&["--hybrid"][..], &["--stages", "8:3,32:2"], &["--exact"]] {
        let answer = run(&[
            &[
                "search",
                &collection,
                "Cash held for short term needs",
                "--json",
            ],
            flags,
        ]
        .concat())
        .json();
        assert_eq!(ids(&answer)[0], "c", "{flags:?}");
    }
    let changed = work.file(
        "changed.jsonl",
        r#"{"id": "b", "text": "something else", "year": 1990}"#,
    );
    let report = run(&["index", "update", &collection, &changed, "--json"]).json();
    assert_eq!(
        (&report["replaced"], &report["added"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(
        run(&["index", "delete", &collection, "c", "--json"]).json(),
        json!({ "deleted": 1 })
    );
    assert_eq!(
        run(&[
            "index",
            "delete",
            &collection,
            "--filter",
            "year < 2000",
            "--json"
        ])
        .json(),
        json!({ "deleted": 1 })
    );
    assert_eq!(info(&collection)["documents"], 1);
    run(&["index", "optimize", &collection]).ok();
    let recall = run(&["index", "recall", &collection, "--sample", "1", "--json"]).json();
    assert_eq!(
        (&recall["recall"], &recall["queries"]),
        (&json!(1.0), &json!(1))
    );
}

#[test]
fn what_a_collection_is_is_told() {
    let work = Workplace::new();
    let collection = work.filled();
    let told = info(&collection);
    assert_eq!(
        (&told["dims"], &told["documents"], &told["storage"]),
        (&json!([8, 32]), &json!(3), &json!("float32"))
    );
    let text = run(&["index", "info", &collection]).ok();
    assert!(
        text.contains("documents") && text.contains("tiny-bert"),
        "{text}"
    );
}

#[test]
fn questions_come_from_a_pipe() {
    let work = Workplace::new();
    let collection = work.filled();
    let answers =
        json_lines(&run_with(&["search", &collection, "--json"], b"Goodwill\n\nLeases\n").ok());
    assert_eq!(
        answers
            .iter()
            .map(|answer| answer["query"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["Goodwill", "Leases"]
    );
}

#[test]
fn folders_of_texts_are_cut_into_chunks() {
    let work = Workplace::new();
    fs::create_dir(work.0.path().join("notes")).unwrap();
    work.file(
        "notes/long.md",
        &"a sentence about leases and cash. ".repeat(40),
    );
    let (notes, collection) = (work.0.path().join("notes"), work.collection());
    let report = run(&[
        "index",
        "add",
        &collection,
        "--model",
        &model(),
        notes.to_str().unwrap(),
        "--chunk-tokens",
        "32",
        "--json",
    ])
    .json();
    assert!(report["chunks"].as_u64().unwrap() > 5, "{report}");
    let found = run(&["search", &collection, "leases", "--json"]).json();
    assert_eq!(ids(&found), ["long.md"]);
}

#[test]
fn documents_are_embedded_in_one_place_and_added_in_another() {
    let work = Workplace::new();
    let (documents, collection) = (work.file("docs.jsonl", DOCUMENTS), work.collection());
    let parts = work.0.path().join("parts").to_str().unwrap().to_owned();
    let embed = || {
        run(&[
            "index",
            "embed",
            &model(),
            &documents,
            "-o",
            &parts,
            "--per-file",
            "2",
            "--json",
        ])
        .json()
    };
    let report = embed();
    assert_eq!(
        (&report["documents"], &report["files"], &report["unchanged"]),
        (&json!(3), &json!(2), &json!(0))
    );
    assert_eq!(embed()["unchanged"], 3);
    let add = [
        "index",
        "add",
        &collection,
        "--model",
        &model(),
        &parts,
        "--embedding-column",
        "embedding",
    ];
    run(&add).ok();
    let found = run(&[
        "search",
        &collection,
        "Goodwill the excess of the price paid",
        "--json",
    ])
    .json();
    assert_eq!(
        (ids(&found)[0], &found["results"][0]["fields"]),
        ("a", &json!({ "title": "Goodwill", "year": 2020 }))
    );
    let other = work.file(
        "other.jsonl",
        r#"{"id": "z", "text": "x", "embedding": [1, 2]}"#,
    );
    let refused = run(&[
        "index",
        "add",
        &collection,
        &other,
        "--embedding-column",
        "embedding",
    ]);
    refused.fails_with(&["the embedding of document `z` has 2 values, expected 32"]);
}

#[test]
fn a_map_is_one_page() {
    let work = Workplace::new();
    let collection = work.filled();
    let page = work.0.path().join("map.html");
    let output = page.to_str().unwrap();
    let report = run(&[
        "index",
        "map",
        &collection,
        "-o",
        output,
        "--color-by",
        "year",
        "--json",
    ])
    .json();
    assert_eq!(
        (&report["texts"], &report["groups"]),
        (&json!(3), &json!(["2018", "2020", "2022"]))
    );
    let html = fs::read_to_string(&page).unwrap();
    assert!(
        html.contains(r#""text":"Goodwill the excess of the price paid""#)
            && !html.contains("http"),
        "{html}"
    );
    run(&[
        "index",
        "map",
        &collection,
        "-o",
        output,
        "--filter",
        "year > 2018",
        "-k",
        "2",
    ])
    .ok();
    let refused = |args: &[&str], expected: &str| {
        run(&[&["index", "map", &collection, "-o", output], args].concat()).fails_with(&[expected]);
    };
    refused(
        &["--color-by", "nothing"],
        "no document has the field `nothing`; there are id, text, title, year",
    );
    refused(&["--filter", "year > 3000"], "there is nothing to draw");
    refused(&["-k", "9"], "9 clusters of 3 rows");
    run(&["index", "map", &collection, "-o", "/nowhere/map.html"]).fails_with(&["/nowhere"]);
}

#[test]
fn errors_come_before_any_work_and_say_what_to_do() {
    let work = Workplace::new();
    let (documents, collection) = (work.file("docs.jsonl", DOCUMENTS), work.collection());
    run(&["index", "add", &collection, &documents]).fails_with(&[
        "no collection yet",
        "hint:",
        "--model",
    ]);
    run(&["search", &collection, "x"]).fails_with(&[
        "no collection at",
        "hint:",
        "matryo index add",
    ]);
    let twice = work.file(
        "twice.jsonl",
        "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"a\",\"text\":\"y\"}\n",
    );
    run(&["index", "add", &collection, "--model", &model(), &twice])
        .fails_with(&["id `a` is there twice", "line 2"]);
    assert!(!Path::new(&collection).exists());
    let collection = work.filled();
    run(&["search", &collection, ""]).fails_with(&["the query is empty"]);
    run(&["search", &collection, "x", "--filter", "year >"]).fails_with(&[
        "not a filter",
        "the end",
        "hint:",
    ]);
    run(&["search", &collection, "x", "--filter", "place = 1"])
        .fails_with(&["no document has the field `place`", "year"]);
    run(&["search", &collection, "x", "--stages", "16:3"])
        .fails_with(&["no vectors of 16 dimensions", "hint:"]);
    run(&["search", &collection, "x", "--stages", "8"])
        .fails_with(&["stage 1 of the funnel is `8`"]);
    run(&["index", "delete", &collection, "z"])
        .fails_with(&["1 of 1 documents are not in the collection"]);
    run(&["index", "add", &collection, &documents, "--storage", "int8"])
        .fails_with(&["vectors stored as float32"]);
    let unknown = work.file("new.jsonl", r#"{"id": "z", "text": "x"}"#);
    run(&["index", "update", &collection, &unknown]).fails_with(&["the first is `z`", "hint:"]);
    assert_eq!(info(&collection)["documents"], 3);
}

#[test]
fn another_model_and_a_damaged_collection_are_refused() {
    let work = Workplace::new();
    let collection = work.filled();
    let other = model_copy(work.0.path());
    let weights = other.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    let other = other.to_str().unwrap();
    run(&["search", &collection, "x", "--model", other])
        .fails_with(&["made with another model", "hint:"]);
    let points = Path::new(&collection).join("points-1/segments");
    let segment: PathBuf = fs::read_dir(points)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(segment.join("segment.json"), "{").unwrap();
    run(&["search", &collection, "x"]).fails_with(&["cannot open the collection", "points-1"]);
}
