//! `matryo mine`, `duplicates`, `cluster` and `sts` on the tiny model.

use std::fs;

use serde_json::json;

use crate::common::{model, run, run_with};

const TEXTS: &str = "goodwill is the excess paid\nleases are assets\ngoodwill is the excess paid\ncash is held\nleases are assets\n";

fn texts(dir: &tempfile::TempDir) -> String {
    let path = dir.path().join("texts.txt");
    fs::write(&path, TEXTS).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn equal_texts_are_the_best_pairs() {
    let dir = tempfile::tempdir().unwrap();
    let lines = run(&[
        "mine",
        &model(),
        "--input",
        &texts(&dir),
        "--min-score",
        "0.9999",
    ])
    .ok();
    let mut pairs: Vec<&str> = lines
        .lines()
        .map(|line| line.split_once('\t').unwrap().1)
        .collect();
    pairs.sort_unstable();
    let twice = |text: &str| format!("{text}\t{text}");
    assert_eq!(
        pairs,
        [
            twice("goodwill is the excess paid"),
            twice("leases are assets")
        ]
    );
}

#[test]
fn duplicates_are_grouped_and_one_of_each_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept.txt");
    let kept_path = kept.to_str().unwrap();
    run(&[
        "duplicates",
        &model(),
        "--input",
        &texts(&dir),
        "--threshold",
        "0.9999",
        "--keep-first",
        kept_path,
    ])
    .ok();
    let kept = fs::read_to_string(kept).unwrap();
    assert_eq!(
        kept.lines().collect::<Vec<_>>(),
        [
            "goodwill is the excess paid",
            "leases are assets",
            "cash is held"
        ]
    );
}

#[test]
fn each_text_gets_a_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let (input, labels) = (texts(&dir), dir.path().join("labels.jsonl"));
    for method in ["kmeans", "agglomerative"] {
        let flags = [
            "--method",
            method,
            "-k",
            "3",
            "--output",
            labels.to_str().unwrap(),
        ];
        run(&[&["cluster", &model(), "--input", &input][..], &flags].concat()).ok();
        let lines = crate::common::json_lines(&fs::read_to_string(&labels).unwrap());
        let label = |row: usize| lines[row]["label"].clone();
        assert_eq!((label(0), label(1)), (label(2), label(4)), "{method}");
        assert!(
            label(0) != label(1) && label(1) != label(3) && label(0) != label(3),
            "{method}"
        );
    }
}

#[test]
fn pairs_are_compared_with_their_scores() {
    let dir = tempfile::tempdir().unwrap();
    let pairs = dir.path().join("pairs.csv");
    fs::write(
        &pairs,
        "sentence1,sentence2,score\na b,a b,1\na b,cash flow,0\nx y,x y,1\n",
    )
    .unwrap();
    let found = run(&["sts", &model(), "--data", pairs.to_str().unwrap(), "--json"])
        .json()
        .to_string();
    assert!(
        found.contains("pearson_cosine") && found.contains("spearman_manhattan"),
        "{found}"
    );
}

/// The texts encoded into a file of each format.
fn encoded(dir: &tempfile::TempDir, format: &str) -> String {
    let path = dir.path().join(format!("vectors.{format}"));
    let path = path.to_str().unwrap().to_owned();
    run(&[
        "encode",
        &model(),
        "--input",
        &texts(dir),
        "--output",
        &path,
    ])
    .ok();
    path
}

#[test]
fn stored_embeddings_are_as_good_as_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let (input, model) = (texts(&dir), model());
    let expected = run(&["mine", &model, "--input", &input, "--truncate-dim", "8"]).ok();
    assert_eq!(expected.lines().count(), 10);
    for format in ["npy", "safetensors", "jsonl", "parquet"] {
        let vectors = encoded(&dir, format);
        let stored = ["mine", "--embeddings", &vectors, "--truncate-dim", "8"];
        assert_eq!(
            run(&[&stored[..], &["--input", &input]].concat()).ok(),
            expected,
            "{format}"
        );
        assert_eq!(
            run(&[&stored[..], &[&model, "--input", &input]].concat()).ok(),
            expected,
            "{format}"
        );
        if matches!(format, "jsonl" | "parquet") {
            assert_eq!(run(&stored).ok(), expected, "{format} holds the texts");
        } else {
            assert_eq!(
                run_with(&stored, TEXTS.as_bytes()).ok(),
                expected,
                "{format}"
            );
        }
    }
    // What `matryo encode` prints, and what NumPy writes of double precision.
    let printed = dir.path().join("printed.jsonl");
    fs::write(&printed, run(&["encode", &model, "--input", &input]).ok()).unwrap();
    let arguments = [
        "mine",
        "--embeddings",
        printed.to_str().unwrap(),
        "--truncate-dim",
        "8",
        "--input",
        &input,
    ];
    assert_eq!(run(&arguments).ok(), expected);
}

#[test]
fn double_precision_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("double.npy");
    fs::write(
        &path,
        npy(
            "<f8",
            "(2, 2)",
            &[1.0_f64, 0.0, 3.0, 4.0].map(f64::to_le_bytes).concat(),
        ),
    )
    .unwrap();
    let found = run_with(&["mine", "--embeddings", path.to_str().unwrap()], b"a\nb\n").ok();
    assert_eq!(found, "0.600000\ta\tb\n");
}

/// A .npy file of format 1.
fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values].concat()
}

#[test]
fn the_most_alike_pairs_are_given_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let (input, model) = (texts(&dir), model());
    let mine = ["mine", &model, "--input", &input, "--max-pairs", "3"];
    let all = run(&["mine", &model, "--input", &input]).ok();
    assert_eq!(
        run(&mine).ok().lines().collect::<Vec<_>>(),
        all.lines().take(3).collect::<Vec<_>>()
    );
    let report = run(&[&mine[..], &["--json"]].concat()).json();
    let pairs = report["pairs"].as_array().unwrap();
    assert_eq!(
        (&report["texts"], &report["count"], pairs.len()),
        (&json!(5), &json!(3), 3)
    );
    let mut best: Vec<_> = pairs[..2]
        .iter()
        .map(|pair| (pair["id1"].clone(), pair["id2"].clone()))
        .collect();
    best.sort_by_key(|pair| pair.0.as_u64());
    assert_eq!(best, [(json!(0), json!(2)), (json!(1), json!(4))]);
    for name in ["pairs.csv", "pairs.jsonl", "pairs.parquet"] {
        let path = dir.path().join(name);
        let written =
            run(&[&mine[..], &["--json", "--output", path.to_str().unwrap()]].concat()).json();
        assert_eq!(
            (&written["count"], &written["output"]),
            (&json!(3), &json!(path))
        );
        // Its columns are those of sentence pairs, so their scores follow themselves.
        let sts = run(&[
            "sts",
            &model,
            "--data",
            path.to_str().unwrap(),
            "--score",
            "cosine",
            "--json",
        ])
        .json();
        assert!(
            sts["pearson_cosine"].as_f64().unwrap() > 0.9999,
            "{name}: {sts}"
        );
    }
}

#[test]
fn groups_of_duplicates_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let (input, model) = (texts(&dir), model());
    let duplicates = [
        "duplicates",
        &model,
        "--input",
        &input,
        "--threshold",
        "0.9999",
    ];
    let shown = run(&duplicates).ok();
    let expected = "2\tgoodwill is the excess paid\n\tgoodwill is the excess paid\n2\tleases are assets\n\tleases are assets\n";
    assert_eq!(shown, expected);
    let report = run(&[&duplicates[..], &["--json"]].concat()).json();
    assert_eq!(
        (&report["texts"], &report["duplicates"]),
        (&json!(5), &json!(2))
    );
    assert_eq!(report["groups"][0]["ids"], json!([0, 2]));
    assert_eq!(
        report["groups"][1]["texts"],
        json!(["leases are assets", "leases are assets"])
    );
    let (groups, kept) = (dir.path().join("groups.csv"), dir.path().join("kept.jsonl"));
    let files = [
        "--output",
        groups.to_str().unwrap(),
        "--keep-central",
        kept.to_str().unwrap(),
    ];
    assert_eq!(run(&[&duplicates[..], &files].concat()).ok(), "");
    let table = fs::read_to_string(groups).unwrap();
    let column = |at: usize| {
        table
            .lines()
            .map(|l| l.split(',').nth(at).unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        (column(0), column(1)),
        ("group 0 0 1 1".to_owned(), "id 0 2 1 4".to_owned())
    );
    let kept = crate::common::json_lines(&fs::read_to_string(kept).unwrap());
    let kept: Vec<_> = kept
        .iter()
        .map(|line| line["text"].as_str().unwrap())
        .collect();
    assert_eq!(
        kept,
        [
            "goodwill is the excess paid",
            "leases are assets",
            "cash is held"
        ]
    );
}

#[test]
fn clusters_are_shown_with_typical_texts() {
    let dir = tempfile::tempdir().unwrap();
    let (input, model) = (texts(&dir), model());
    let cluster = ["cluster", &model, "--input", &input];
    let shown = run(&[&cluster[..], &["-k", "3", "--typical", "1"]].concat()).ok();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(
        lines,
        [
            "0\t2\tgoodwill is the excess paid",
            "1\t2\tleases are assets",
            "2\t1\tcash is held"
        ]
    );
    let report = run(&[&cluster[..], &["-k", "3", "--seed", "7", "--json"]].concat()).json();
    assert!(
        report["inertia"].as_f64().unwrap() < 1e-6 && report["n_iter"].as_u64().unwrap() > 0,
        "{report}"
    );
    let communities = [
        "--method",
        "communities",
        "--threshold",
        "0.9999",
        "--min-size",
        "2",
    ];
    let labels = dir.path().join("labels.csv");
    let files = ["--json", "--output", labels.to_str().unwrap()];
    let report = run(&[&cluster[..], &communities, &files].concat()).json();
    assert_eq!(
        (&report["method"], &report["unclustered"]),
        (&json!("communities"), &json!(1))
    );
    assert_eq!(report["clusters"].as_array().unwrap().len(), 2);
    let labels = fs::read_to_string(labels).unwrap();
    let found: Vec<_> = labels
        .lines()
        .map(|line| line.rsplit(',').next().unwrap())
        .collect();
    assert_eq!(found, ["label", "0", "1", "0", "-1", "1"]);
    let merged = [
        "--method",
        "agglomerative",
        "--threshold",
        "0.9999",
        "--linkage",
        "complete",
        "--json",
    ];
    let report = run(&[&cluster[..], &merged].concat()).json();
    assert_eq!(report["clusters"].as_array().unwrap().len(), 3);
}

#[test]
fn threads_change_no_result() {
    let dir = tempfile::tempdir().unwrap();
    let (input, model) = (texts(&dir), model());
    let with = |threads| {
        run(&[
            "cluster",
            &model,
            "--input",
            &input,
            "-k",
            "2",
            "--json",
            "--threads",
            threads,
        ])
        .ok()
    };
    assert_eq!(with("1"), with("2"));
}

#[test]
fn pairs_without_scores_get_some() {
    let dir = tempfile::tempdir().unwrap();
    let pairs = dir.path().join("pairs.csv");
    fs::write(&pairs, "left,right,gold\na b,a b,1\na b,cash flow,0\n").unwrap();
    let sts = [
        "sts",
        &model(),
        "--data",
        pairs.to_str().unwrap(),
        "--columns",
    ];
    let shown = run(&[&sts[..], &["left,right"]].concat()).ok();
    let first = shown.lines().next().unwrap();
    let (score, sentences) = first.split_once('\t').unwrap();
    assert!(
        (score.parse::<f64>().unwrap() - 1.0).abs() < 1e-5 && sentences == "a b\ta b",
        "{shown}"
    );
    let report =
        run(&[&sts[..], &["left,right", "--score", "cosine,dot", "--json"]].concat()).json();
    assert!(
        report["pairs"][1]["dot"].is_f64() && report["pairs"][1]["sentence2"] == "cash flow",
        "{report}"
    );
    let scored = run(&[&sts[..], &["left,right,gold", "--json"]].concat()).json();
    assert!(
        (scored["spearman_max"].as_f64().unwrap() - 1.0).abs() < 1e-9,
        "{scored}"
    );
}

#[test]
fn more_clusters_than_texts_and_options_of_other_methods() {
    let dir = tempfile::tempdir().unwrap();
    let (input, model) = (texts(&dir), model());
    let cluster = |further: &[&str]| {
        run(&[
            &["cluster", &model, "--input", &input, "--method"][..],
            further,
        ]
        .concat())
    };
    cluster(&["kmeans", "-k", "9"])
        .fails_with(&["error: 9 clusters of 5 rows", "hint: 5 is the largest"]);
    cluster(&["agglomerative", "-k", "9"])
        .fails_with(&["error: 9 clusters of 5 rows", "hint: 5 is the largest"]);
    cluster(&["kmeans"]).fails_with(&["error: --method kmeans needs -k", "hint: -k N is a number"]);
    cluster(&["agglomerative"]).fails_with(&[
        "error: --method agglomerative needs -k or --threshold",
        "hint: ",
    ]);
    cluster(&["communities", "-k", "2"]).fails_with(&[
        "error: -k means nothing to --method communities",
        "hint: -k belongs to --method kmeans",
    ]);
    cluster(&["kmeans", "-k", "2", "--min-size", "3"]).fails_with(&[
        "error: --min-size means nothing to",
        "hint: --min-size belongs to --method communities",
    ]);
    cluster(&["kmeans", "-k", "0"]).fails_with(&["error: invalid value '0' for '--clusters <N>'"]);
    cluster(&["agglomerative", "-k", "2", "--threshold", "0.5"])
        .fails_with(&["error: ", "cannot be used with"]);
    for threshold in ["1.5", "-1.01", "nan", "high"] {
        let expected = &[
            "error: invalid value",
            "--threshold <T>",
            "expected a cosine, -1 to 1",
        ];
        cluster(&["communities", "--threshold", threshold]).fails_with(expected);
        run(&[
            "duplicates",
            &model,
            "--input",
            &input,
            "--threshold",
            threshold,
        ])
        .fails_with(expected);
    }
}

#[test]
fn texts_that_cannot_be_compared() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, latin, one) = (
        write("empty.txt", b""),
        write("latin.txt", b"a\n\xe9\n"),
        write("one.txt", b"a\n"),
    );
    for command in ["mine", "duplicates", "cluster"] {
        let method: &[&str] = if command == "cluster" {
            &["-k", "1"]
        } else {
            &[]
        };
        let of = |input: &str| run(&[&[command, &model(), "--input", input][..], method].concat());
        of(&empty).fails_with(&["error: no rows", "empty.txt"]);
        of(&latin).fails_with(&["error: not valid UTF-8", "line 2", "hint: convert"]);
        of("/nonexistent.txt").fails_with(&["error: cannot read /nonexistent.txt"]);
        let nothing = run(&[&[command, &model()][..], method].concat());
        nothing.fails_with(&["error: no text to work on", "hint: "]);
        run(&[&[command][..], method].concat()).fails_with(&["error: ", "required", "<MODEL>"]);
    }
    run(&["mine", &model(), "--input", &one])
        .fails_with(&["error: nothing to compare with: 1 text", "hint: "]);
    let sts = |data: &str| run(&["sts", &model(), "--data", data]);
    sts(&write("a.csv", b"sentence1,sentences2\na,b\n")).fails_with(&[
        "error: no column `sentence2`, found `sentence1`, `sentences2`",
        "a.csv",
    ]);
    sts(&write(
        "b.csv",
        b"sentence1,sentence2,score\na,b,1\na,b,high\n",
    ))
    .fails_with(&[
        "error: column `score` holds `high`, expected a number",
        "b.csv, line 3",
    ]);
    sts(&write("c.csv", b"sentence1,sentence2,score\na,b,1\n"))
        .fails_with(&["error: 1 pair has no correlation, expected at least 2"]);
}

/// A safetensors file of one tensor.
fn safetensors(name: &str, dtype: &str, shape: &str, bytes: usize) -> Vec<u8> {
    let header = format!(
        "{{\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[0,{bytes}]}}}}"
    );
    [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &vec![0; bytes],
    ]
    .concat()
}

#[test]
fn files_of_embeddings_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let floats = |values: &[f32]| {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let four = floats(&[1.0, 0.0, 0.0, 1.0]);
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        (
            "a.npy",
            b"NUMPY".to_vec(),
            &[
                "error: not a readable .npy file: it does not begin as one",
                "hint: ",
            ],
        ),
        (
            "b.npy",
            npy("<f4", "(2, 2)", &four[..12]),
            &["error: the file has ", "its header promises", "hint: "],
        ),
        (
            "c.npy",
            npy("|u1", "(2, 2)", &[0; 4]),
            &[
                "error: the values are |u1, expected float32",
                "hint: `matryo enc",
            ],
        ),
        (
            "d.npy",
            npy("<f4", "(4,)", &four),
            &[
                "error: the shape is [4], expected rows and columns",
                "hint: ",
            ],
        ),
        (
            "e.npy",
            npy("<f4", "(2, 2)", &floats(&[1.0, 0.0, f32::NAN, 1.0])),
            &["error: row 2 holds NaN", "e.npy"],
        ),
        (
            "f.npy",
            npy("<f4", "(0, 2)", &[]),
            &["error: no embeddings", "f.npy"],
        ),
        (
            "g.npy",
            npy("<f4", "(99999999999, 99999999999)", &[]),
            &["error: not a readable .npy file: its shape"],
        ),
        (
            "h.npy",
            b"\x93NUMPY\x01\x00\xff\xff{".to_vec(),
            &["error: not a readable .npy file: its header is cut"],
        ),
        (
            "a.jsonl",
            b"[1, 0]\n{\"x\": 1}\n".to_vec(),
            &["error: line 2 is neither", "missing field", "hint: "],
        ),
        (
            "b.jsonl",
            b"[1, 0]\n[1]\n".to_vec(),
            &["error: row 2 has 1 values, the first has 2", "hint: "],
        ),
        (
            "c.jsonl",
            b"[1, 0]\n[1, 0\xff]\n".to_vec(),
            &["error: line 2 is neither", "c.jsonl"],
        ),
        ("d.jsonl", b"\n".to_vec(), &["error: no embeddings"]),
        (
            "a.safetensors",
            b"nonsense".to_vec(),
            &[
                "error: not a readable safetensors file",
                "hint: expected is",
            ],
        ),
        (
            "b.safetensors",
            safetensors("x", "I8", "[2,2]", 4),
            &["error: the values are I8", "hint: "],
        ),
        (
            "c.safetensors",
            safetensors("x", "F32", "[4]", 16),
            &["error: the shape is [4]", "hint: "],
        ),
        (
            "a.parquet",
            b"PAR1".to_vec(),
            &["error: not a readable Parquet file", "hint: expected is"],
        ),
        (
            "a.bin",
            b"".to_vec(),
            &[
                "error: cannot tell the format of ",
                "hint: the name should end in .npy",
            ],
        ),
    ];
    let input = dir.path().join("two.txt");
    fs::write(&input, "a\nb\n").unwrap();
    let mine = |path: &str| {
        run(&[
            "mine",
            "--input",
            input.to_str().unwrap(),
            "--embeddings",
            path,
        ])
    };
    for (name, content, parts) in cases {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        mine(path.to_str().unwrap()).fails_with(parts);
    }
    mine("/nonexistent.npy").fails_with(&["error: cannot read /nonexistent.npy"]);
}

#[test]
fn embeddings_of_other_texts() {
    let dir = tempfile::tempdir().unwrap();
    let (short, other) = (dir.path().join("short.txt"), dir.path().join("other.txt"));
    fs::write(&short, "a\nb\n").unwrap();
    fs::write(&other, TEXTS.replace("cash", "gold")).unwrap();
    let (short, other) = (short.to_str().unwrap(), other.to_str().unwrap());
    for format in ["npy", "jsonl", "parquet"] {
        let vectors = encoded(&dir, format);
        run(&["mine", "--embeddings", &vectors, "--input", short]).fails_with(&[
            "error: 2 texts but 5 embeddings",
            "vectors.",
            "hint: give the texts that were encoded",
        ]);
        if format != "npy" {
            run(&["mine", "--embeddings", &vectors, "--input", other]).fails_with(&[
                "error: text 4 is not the one that its embedding was made of",
                "hint: ",
            ]);
        }
    }
    let vectors = encoded(&dir, "parquet");
    run(&["mine", "--embeddings", &vectors, "--truncate-dim", "33"])
        .fails_with(&["error: cannot keep 33 dimensions"]);
    run(&["mine", "--embeddings", &vectors, "--prompt", "q: "])
        .fails_with(&["error: ", "cannot be used with"]);
}

#[test]
fn outputs_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let (input, model) = (texts(&dir), model());
    let duplicates = ["duplicates", &model, "--input", &input];
    let with = |further: &[&str]| run(&[&duplicates[..], further].concat());
    with(&["--output", "a.txt"]).fails_with(&[
        "error: cannot tell the format of a.txt",
        "hint: the name should end in .csv",
    ]);
    with(&["--keep-first", "a.doc"]).fails_with(&[
        "error: cannot tell the format of a.doc",
        "hint: the name should end in .txt",
    ]);
    with(&["--output", "/nonexistent/a.csv"])
        .fails_with(&["error: the folder of /nonexistent/a.csv", "hint: "]);
    let (lines, kept) = (dir.path().join("lines.jsonl"), dir.path().join("kept.txt"));
    fs::write(&lines, "\"a\\nb\"\n\"c\"\n").unwrap();
    fs::write(&kept, "as before").unwrap();
    let (lines, path) = (lines.to_str().unwrap(), kept.to_str().unwrap());
    run(&["duplicates", &model, "--input", lines, "--keep-first", path]).fails_with(&[
        "error: text 1 holds a line break",
        "kept.txt",
        "hint: write a .jsonl file",
    ]);
    assert_eq!(fs::read_to_string(&kept).unwrap(), "as before");
}
