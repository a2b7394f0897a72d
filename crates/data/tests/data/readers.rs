//! Data files in every format, and what is said about broken ones.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::folder::Folder;
use flate2::Compression;
use flate2::write::GzEncoder;
use matryo_data::{Columns, DataError, Dataset, Place, Rows, read_text_lines, read_texts};

const POSITIVES: [&str; 3] = ["Umsatz 2019 – 12 Mio. €", "", "line one\nline two"];
const ANCHORS: [&str; 3] = ["What is \"revenue\"?", "empty?", "é"];

const JSONL: &str = "{\"positive\": \"Umsatz 2019 \\u2013 12 Mio. €\", \"anchor\": \"What is \\\"revenue\\\"?\"}\n\n\
    {\"anchor\": \"empty?\", \"positive\": \"\"}\r\n{\"positive\":\"line one\\nline two\",\"anchor\":\"é\"}";
const CSV: &str = "positive,anchor\nUmsatz 2019 – 12 Mio. €,\"What is \"\"revenue\"\"?\"\n,empty?\n\"line one\nline two\",é\n";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 0).unwrap()
}

fn column(rows: &Dataset, index: usize) -> Vec<&str> {
    (0..rows.len()).map(|row| rows.text(row, index)).collect()
}

fn named(names: &[&str]) -> Columns {
    Columns::Named(names.iter().map(|&name| name.to_owned()).collect())
}

fn mapped(take: &[&str], ignore: &[&str]) -> Columns {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Columns::Mapped {
        take: owned(take),
        ignore: owned(ignore),
    }
}

/// The message, with the folder taken out, and the hint.
fn failure(error: &DataError, path: &Path) -> String {
    let folder = format!("{}/", path.parent().unwrap().display());
    let hint = error
        .hint()
        .map(|hint| format!("\nhint: {hint}"))
        .unwrap_or_default();
    format!("{error}{hint}").replace(&folder, "")
}

fn refused(name: &str, bytes: impl AsRef<[u8]>, columns: &Columns) -> String {
    let folder = Folder::new();
    let path = folder.write(name, bytes);
    failure(&Dataset::open(&path, columns).unwrap_err(), &path)
}

#[test]
fn every_format_gives_the_same_rows() {
    let folder = Folder::new();
    let marked = format!("\u{feff}{JSONL}");
    let paths = [
        folder.write("a.jsonl", JSONL),
        folder.write("b.JSON", &marked),
        folder.write("c.jsonl.gz", gzip(JSONL.as_bytes())),
        folder.write("d.ndjson.zst", zstd(JSONL.as_bytes())),
        folder.write("e.csv", CSV),
        folder.write(
            "f.csv.gz",
            [gzip(&CSV.as_bytes()[..20]), gzip(&CSV.as_bytes()[20..])].concat(),
        ),
        folder.write("g.csv.zst", zstd(CSV.as_bytes())),
        folder.write("h.tsv", CSV.replace(',', "\t")),
        folder.write(
            "i.csv",
            format!(
                "\u{feff}{}",
                CSV.replace("\n", "\r\n").replace("one\r", "one")
            ),
        ),
        golden("view_dictionary.parquet"),
    ];
    let fingerprints = paths.map(|path| {
        let rows = Dataset::open(&path, &Columns::All).unwrap();
        assert_eq!(rows.columns(), ["positive", "anchor"], "{}", path.display());
        assert_eq!(column(&rows, 0), POSITIVES, "{}", path.display());
        assert_eq!(column(&rows, 1), ANCHORS, "{}", path.display());
        rows.fingerprint()
    });
    assert!(fingerprints.windows(2).all(|pair| pair[0] == pair[1]));
}

/// Computed with Python's hashlib and struct from the documented stream.
#[test]
fn fingerprint_is_the_documented_one() {
    let rows = Dataset::from_columns(
        vec!["positive".into(), "anchor".into()],
        [POSITIVES, ANCHORS]
            .map(|texts| texts.map(str::to_owned).to_vec())
            .to_vec(),
    );
    assert_eq!(
        rows.fingerprint(),
        "70ed199c66e7ddf5ed2252864c51e8d03e4739e72289909ee781629ee63a162a"
    );
    let moved = Dataset::from_columns(
        vec!["a".into(), "b".into()],
        vec![vec!["xy".into()], vec!["z".into()]],
    );
    let other = Dataset::from_columns(
        vec!["a".into(), "b".into()],
        vec![vec!["x".into()], vec!["yz".into()]],
    );
    assert_ne!(moved.fingerprint(), other.fingerprint());
}

#[test]
fn places_are_lines_or_rows() {
    let folder = Folder::new();
    let places = |path: &Path| {
        let rows = Dataset::open(path, &Columns::All).unwrap();
        (0..3).map(|row| rows.place(row)).collect::<Vec<_>>()
    };
    assert_eq!(
        places(&folder.write("a.jsonl", JSONL)),
        [1, 3, 4].map(Place::Line)
    );
    assert_eq!(
        places(&folder.write("a.csv", format!("{CSV}x,y\n")))[..],
        [2, 3, 4].map(Place::Line)
    );
    let after_field_of_two_lines = "a,b\n\"1\n1\",2\n3,4\n5,6\n";
    assert_eq!(
        places(&folder.write("b.csv", after_field_of_two_lines)),
        [2, 4, 5].map(Place::Line)
    );
    assert_eq!(
        places(&golden("view_dictionary.parquet")),
        [1, 2, 3].map(Place::Row)
    );
}

#[test]
fn columns_are_taken_in_the_order_named() {
    let folder = Folder::new();
    let path = folder.write("a.csv", CSV);
    let rows = Dataset::open(&path, &named(&["anchor", "positive"])).unwrap();
    assert_eq!(rows.columns(), ["anchor", "positive"]);
    assert_eq!(rows.text(1, 0), "empty?");
    let rows = Dataset::open(
        &golden("mixed.parquet"),
        &mapped(&["anchor", "positive"], &["label", "tags"]),
    )
    .unwrap();
    assert_eq!(
        (column(&rows, 0), column(&rows, 1)),
        (ANCHORS.to_vec(), POSITIVES.to_vec())
    );
    let rows = Dataset::open(&golden("mixed.parquet"), &mapped(&[], &["label", "tags"])).unwrap();
    assert_eq!(rows.columns(), ["positive", "anchor"]);
    let ignored = folder.write(
        "b.jsonl",
        "{\"id\": 7, \"a\": \"x\"}\n{\"a\": \"y\", \"meta\": {\"k\": [1]}, \"id\": null}\n",
    );
    let rows = Dataset::open(&ignored, &mapped(&["a"], &["id", "meta"])).unwrap();
    assert_eq!(column(&rows, 0), ["x", "y"]);
}

#[test]
fn missing_and_unexpected_columns_are_named() {
    let wanted = named(&["anchor", "positive"]);
    for (name, text) in [
        ("a.csv", "anchor,postive\nx,y\n"),
        ("a.jsonl", "{\"anchor\": \"x\", \"postive\": \"y\"}\n"),
    ] {
        assert_eq!(
            refused(name, text, &wanted),
            format!(
                "no column `positive`, found `anchor`, `postive`\n  in {name}\nhint: did you mean `postive`?"
            )
        );
    }
    assert_eq!(
        refused(
            "a.tsv",
            "anchor\tpositive\tid\tscore\nx\ty\t1\t2\n",
            &wanted
        ),
        "unexpected columns `id`, `score`, expected `anchor`, `positive`\n  in a.tsv\n\
         hint: name the columns to use, and those to ignore"
    );
    let path = golden("mixed.parquet");
    let error = Dataset::open(&path, &wanted).unwrap_err();
    assert!(
        failure(&error, &path)
            .starts_with("unexpected columns `label`, `tags`, expected `anchor`, `positive`")
    );
    let later = "{\"a\": \"x\", \"b\": \"y\"}\n{\"a\": \"x\"}\n";
    assert_eq!(
        refused("a.jsonl", later, &Columns::All),
        "no column `b`, found `a`\n  in a.jsonl, line 2"
    );
    let later = "{\"a\": \"x\"}\n{\"a\": \"x\", \"c\": \"y\"}\n";
    assert!(
        refused("a.jsonl", later, &Columns::All)
            .starts_with("unexpected column `c`, expected `a`\n  in a.jsonl, line 2")
    );
    assert_eq!(
        refused("a.csv", "a,b,a\n1,2,3\n", &Columns::All),
        "column `a` is there twice\n  in a.csv"
    );
    let twice = "{\"a\": \"x\"}\n{\"a\": \"x\", \"a\": \"y\"}\n";
    assert_eq!(
        refused("a.jsonl", twice, &Columns::All),
        "column `a` is there twice\n  in a.jsonl, line 2"
    );
}

#[test]
fn empty_files_are_refused() {
    for (name, bytes) in [
        ("a.jsonl", ""),
        ("b.jsonl", "\n \n"),
        ("c.csv", ""),
        ("d.tsv", "a\tb\n"),
        ("e.parquet", ""),
    ] {
        assert_eq!(
            refused(name, bytes, &Columns::All),
            format!("no rows\n  in {name}")
        );
    }
    assert_eq!(
        refused("f.csv.gz", gzip(b""), &Columns::All),
        "no rows\n  in f.csv.gz"
    );
    let path = golden("no_rows.parquet");
    let error = Dataset::open(&path, &Columns::All).unwrap_err();
    assert_eq!(failure(&error, &path), "no rows\n  in no_rows.parquet");
}

#[test]
fn only_texts_are_rows() {
    let jsonl = |value: &str| {
        refused(
            "a.jsonl",
            format!("{{\"a\": \"x\"}}\n{{\"a\": {value}}}\n"),
            &Columns::All,
        )
    };
    assert_eq!(
        jsonl("null"),
        "column `a` is null, expected text\n  in a.jsonl, line 2\n\
         hint: remove the row, or write an empty string if an empty text is meant"
    );
    for (value, found) in [
        ("1", "a number"),
        ("-1.5", "a number"),
        ("[\"x\"]", "a list"),
        ("{\"b\": 1}", "an object"),
        ("true", "true or false"),
    ] {
        assert_eq!(
            jsonl(value),
            format!("column `a` holds {found}, expected text\n  in a.jsonl, line 2")
        );
    }
    assert_eq!(
        refused("a.jsonl", "[{\"a\": \"x\"}]", &Columns::All),
        "the line holds a list, expected an object\n  in a.jsonl, line 1\n\
         hint: JSONL wants one object a line, without a list around"
    );
    let parquet = |name: &str, columns: &Columns| {
        let path = golden(name);
        failure(&Dataset::open(&path, columns).unwrap_err(), &path)
    };
    assert!(
        parquet("null.parquet", &Columns::All)
            .starts_with("column `positive` is null, expected text\n  in null.parquet, row 3")
    );
    let holds = |column: &str, found: &str, file: &str| {
        format!("column `{column}` holds {found}, expected text\n  in {file}")
    };
    let ignoring = |ignore: &[&str]| mapped(&[], ignore);
    let numbers = failure(
        &read_texts(&golden("mixed.parquet"), Some("label")).unwrap_err(),
        &golden("mixed.parquet"),
    );
    assert_eq!(numbers, holds("label", "numbers (Int64)", "mixed.parquet"));
    assert_eq!(
        parquet("mixed.parquet", &ignoring(&["label"])),
        holds("tags", "lists", "mixed.parquet")
    );
    let bytes = holds("positive", "bytes not marked as text", "binary.parquet");
    assert_eq!(parquet("binary.parquet", &ignoring(&["none"])), bytes);
    assert_eq!(
        parquet("binary.parquet", &ignoring(&["positive"])),
        holds("none", "only nulls", "binary.parquet")
    );
}

#[test]
fn broken_text_is_located() {
    let hint = "\nhint: convert the file, for example with `iconv -f latin1 -t utf-8`";
    assert_eq!(
        refused(
            "a.jsonl",
            b"{\"a\": \"x\"}\n{\"a\": \"caf\xe9\"}\n",
            &Columns::All
        ),
        format!("not valid UTF-8: byte 11 of the line is 0xe9\n  in a.jsonl, line 2{hint}")
    );
    assert_eq!(
        refused("a.csv", b"a,b\nx,y\nx,\xff\n", &Columns::All),
        format!("not valid UTF-8: byte 1 of field `b` is 0xff\n  in a.csv, line 3{hint}")
    );
    assert_eq!(
        refused("a.csv", b"a,\xff\nx,y\n", &Columns::All),
        format!("not valid UTF-8: byte 1 of the header is 0xff\n  in a.csv, line 1{hint}")
    );
    assert_eq!(
        refused("a.jsonl", "{\"a\": \"x\"}\n{\"a\": \"y\"\n", &Columns::All),
        "not valid JSON at column 9: EOF while parsing an object\n  in a.jsonl, line 2\n\
         hint: JSONL wants each object whole on one line"
    );
    assert!(
        refused("a.jsonl", "{\"a\": \"x\"} x\n", &Columns::All)
            .starts_with("not valid JSON at column 12: trailing characters")
    );
    assert_eq!(
        refused("a.csv", "a,b\nx,y\nx\n", &Columns::All),
        "the row has 1 field, expected 2\n  in a.csv, line 3\n\
         hint: a text that holds a separator or a quote has to stand in double quotes"
    );
    assert!(
        refused("a.csv", "a,b\nx,y,z\n", &Columns::All)
            .starts_with("the row has 3 fields, expected 2\n  in a.csv, line 2")
    );
    let unclosed = "a,b\nx,y\nx,\"y\nx,y\nx,y\n";
    assert_eq!(
        refused("a.csv", unclosed, &Columns::All),
        "a quoted field starts here and never ends\n  in a.csv, line 3"
    );
    let folder = Folder::new();
    let inches = folder.write("a.csv", "a,b\n5\" pipe,\"two\nlines\"\nx,y\n");
    assert_eq!(
        Dataset::open(&inches, &Columns::All).unwrap().text(0, 0),
        "5\" pipe"
    );
}

#[test]
fn broken_containers_are_told_apart() {
    let long = "{\"a\": \"x\"}\n".repeat(1000);
    for (name, bytes, codec) in [
        ("a.jsonl.gz", gzip(long.as_bytes()), "gzip"),
        ("a.csv.zst", zstd(long.as_bytes()), "zstd"),
    ] {
        let cut = refused(name, &bytes[..bytes.len() - 6], &Columns::All);
        assert!(cut.starts_with(&format!("broken {codec} data: ")), "{cut}");
        assert!(
            cut.ends_with(&format!(
                "\n  in {name}\nhint: was the file downloaded completely?"
            )),
            "{cut}"
        );
        let plain = refused(name, &long, &Columns::All);
        assert!(
            plain.starts_with(&format!("broken {codec} data: ")),
            "{plain}"
        );
    }
    let parquet = std::fs::read(golden("mixed.parquet")).unwrap();
    let cut = refused("a.parquet", &parquet[..parquet.len() - 9], &Columns::All);
    assert!(
        cut.starts_with("not a readable Parquet file: ") && cut.ends_with("in a.parquet"),
        "{cut}"
    );
    let expected =
        "expected .jsonl, .csv or .tsv (also with .gz or .zst), .parquet, or .txt for plain texts";
    for (name, found) in [
        ("a.xlsx", "the extension `xlsx`"),
        ("a.parquet.gz", "the extension `parquet.gz`"),
        ("a", "no extension"),
    ] {
        assert_eq!(
            refused(name, "x", &Columns::All),
            format!("cannot tell the format of {name}: its name has {found}\nhint: {expected}")
        );
    }
    let missing = Dataset::open(Path::new("nowhere/a.csv"), &Columns::All)
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("cannot read nowhere/a.csv: No such file"),
        "{missing}"
    );
}

#[test]
fn texts_are_read_from_any_file() {
    let folder = Folder::new();
    let read = |name: &str, bytes: &str, column| read_texts(&folder.write(name, bytes), column);
    assert_eq!(
        read("a.txt", "one\n\n two \r\nthree", None).unwrap(),
        ["one", "", " two ", "three"]
    );
    assert_eq!(
        read("a.jsonl", "\"one\"\n\"two\"\n", None).unwrap(),
        ["one", "two"]
    );
    assert_eq!(
        read("b.jsonl", "{\"only\": \"one\"}\n", None).unwrap(),
        ["one"]
    );
    assert_eq!(
        read("c.jsonl", "{\"id\": 1, \"text\": \"one\"}\n", None).unwrap(),
        ["one"]
    );
    assert_eq!(
        read("a.csv", "id,sentence,b\n1,one,x\n", None).unwrap(),
        ["one"]
    );
    assert_eq!(
        read("b.csv", "id,sentence,b\n1,one,x\n", Some("b")).unwrap(),
        ["x"]
    );
    assert_eq!(
        read_texts(&golden("mixed.parquet"), Some("anchor")).unwrap(),
        ANCHORS
    );
    let error = read("c.csv", "a,b\n1,2\n", None).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("which column holds the texts? found `a`, `b`"),
        "{error}"
    );
    assert!(matches!(
        read("d.csv", "text,sentence\n1,2\n", None),
        Err(DataError::AmbiguousColumn { .. })
    ));
    assert!(matches!(
        read("e.csv", "text,b\n1,2\n", Some("c")),
        Err(DataError::MissingColumn { .. })
    ));
    assert!(matches!(
        read("b.txt", "", None),
        Err(DataError::Empty { .. })
    ));
    assert_eq!(
        read_text_lines(&b"one\ntwo\n"[..], "stdin").unwrap(),
        ["one", "two"]
    );
    let error = read_text_lines(&b"one\n\xff\n"[..], "stdin").unwrap_err();
    assert_eq!(
        error.to_string(),
        "not valid UTF-8: byte 1 of the line is 0xff\n  in stdin, line 2"
    );
}

/// Bytes changed at random: an error or other texts, never a panic.
#[test]
fn damaged_parquet_is_an_error() {
    let folder = Folder::new();
    let mut state = 11_u64;
    let mut draw = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let whole = std::fs::read(golden("view_dictionary.parquet")).unwrap();
    let mut refused = 0;
    for _ in 0..1000 {
        let mut damaged = whole.clone();
        for _ in 0..3 {
            damaged[draw(whole.len())] = draw(256) as u8;
        }
        refused +=
            usize::from(Dataset::open(&folder.write("a.parquet", damaged), &Columns::All).is_err());
    }
    assert!(refused > 300, "{refused}");
}
