//! `matryo encode`: the values of Python, in every format, from every source.

use std::{fs, path::Path};

use arrow_array::{Array, FixedSizeListArray, Float32Array, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;

use crate::common::{assert_close, golden, golden_texts, json_lines, model, rows, run, run_with};

const TOLERANCE: f64 = 1e-5;

/// Encodes the golden texts, given as arguments, with further arguments.
fn encode(further: &[&str]) -> Vec<Vec<f64>> {
    let (model, texts) = (model(), golden_texts());
    let mut arguments = vec!["encode", &model];
    arguments.extend(texts.iter().map(String::as_str));
    arguments.extend(further);
    json_lines(&run(&arguments).ok())
        .iter()
        .map(|line| serde_json::from_value(line.clone()).unwrap())
        .collect()
}

#[test]
fn values_are_those_of_sentence_transformers() {
    let golden = golden();
    assert_close(&encode(&[]), &rows(&golden["embeddings"]), TOLERANCE);
    let prompt = golden["prompt"].as_str().unwrap();
    assert_close(
        &encode(&["--prompt", prompt]),
        &rows(&golden["prompted"]),
        TOLERANCE,
    );
    let short = encode(&["--truncate-dim", "8", "--normalize"]);
    assert_close(&short, &rows(&golden["truncated_normalized"]), TOLERANCE);
    assert_close(
        &encode(&["--max-seq-length", "4"]),
        &rows(&golden["cut_to_4_tokens"]),
        TOLERANCE,
    );
    assert_close(
        &encode(&["--batch-tokens", "8"]),
        &rows(&golden["embeddings"]),
        TOLERANCE,
    );
}

/// What texts are chooses their route; a task names one, whatever the prompt.
#[test]
fn routes_of_queries_and_documents() {
    let mut goldens = matryo_testkit::FamilyGolden::of_modules().into_iter();
    let golden = goldens.find(|golden| golden.name == "two-encoders");
    let golden = golden.unwrap();
    let model = golden.model().display().to_string();
    let texts: Vec<String> = serde_json::from_value(golden.facts()["texts"].clone()).unwrap();
    let expected = matryo_testkit::read_safetensors(golden.folder.join("golden.safetensors"));
    for (key, flags) in [
        ("query", &["--role", "query"][..]),
        ("document", &["--role", "document"][..]),
        ("query", &["--task", "query", "--prompt-name", "query"][..]),
    ] {
        let mut arguments = vec!["encode", &*model, "--precision", "f32"];
        arguments.extend(flags);
        arguments.push("--");
        arguments.extend(texts.iter().map(String::as_str));
        let lines = json_lines(&run(&arguments).ok());
        let found = lines.into_iter().map(serde_json::from_value);
        let found: Vec<Vec<f64>> = found.collect::<Result<_, _>>().unwrap();
        let tensor = &expected[key];
        let rows = tensor.data.chunks(tensor.shape[1]);
        let rows: Vec<Vec<f64>> = rows
            .map(|row| row.iter().copied().map(f64::from).collect())
            .collect();
        assert_close(&found, &rows, TOLERANCE);
    }
    run(&["encode", &model, "text"]).fails_with(&[
        "no route for texts without a task",
        "the model has the routes query and document",
    ]);
    run(&["encode", &model, "text", "--task", "answer"])
        .fails_with(&["no route for the task `answer`"]);
}

#[test]
fn quantised_values_are_those_of_sentence_transformers() {
    let golden = golden();
    assert_close(
        &encode(&["--quantize", "ubinary"]),
        &rows(&golden["ubinary"]),
        0.0,
    );
    // A step is 1/255 of a column's range, so a value at the edge of a step may fall on either side.
    assert_close(
        &encode(&["--quantize", "int8"]),
        &rows(&golden["int8"]),
        1.0,
    );
}

#[test]
fn threads_change_no_bit() {
    assert_eq!(encode(&["--threads", "1"]), encode(&["--threads", "2"]));
}

#[test]
fn texts_come_from_files_and_pipes() {
    let dir = tempfile::tempdir().unwrap();
    let texts = ["What is goodwill?", "It rained, \"they\" said."];
    let expected = run(&["encode", &model(), texts[0], texts[1]]).ok();
    let csv = "id,text\n1,What is goodwill?\n2,\"It rained, \"\"they\"\" said.\"\n".to_owned();
    let jsonl: String = texts
        .iter()
        .map(|text| format!("{}\n", json!({"id": 1, "text": text})))
        .collect();
    let plain = texts.map(|text| format!("{text}\n")).concat();
    for (name, content) in [("a.txt", &plain), ("a.jsonl", &jsonl), ("a.csv", &csv)] {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        let mut arguments = vec![
            "encode".to_owned(),
            model(),
            "--input".into(),
            path.to_str().unwrap().into(),
        ];
        if name != "a.txt" {
            arguments.extend(["--column".into(), "text".into()]);
        }
        assert_eq!(run(&arguments).ok(), expected, "{name}");
    }
    assert_eq!(
        run_with(&["encode", &model()], plain.as_bytes()).ok(),
        expected
    );
    assert_eq!(
        run_with(
            &["encode", &model(), "--input", "-"],
            plain.replace('\n', "\r\n").as_bytes()
        )
        .ok(),
        expected
    );
}

#[test]
fn json_holds_text_and_embedding() {
    let line = &json_lines(&run(&["encode", &model(), "It rained.", "--json"]).ok())[0];
    assert_eq!(line["text"], "It rained.");
    assert_eq!(line["embedding"].as_array().unwrap().len(), 32);
}

#[test]
fn what_was_cut_is_told() {
    let ran = run(&[
        "encode",
        &model(),
        "What is goodwill and what is it worth?",
        "no",
        "--max-seq-length",
        "5",
    ]);
    assert!(
        ran.stderr.contains("1 of 2 texts were too long"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("2 texts (1 truncated)"),
        "{}",
        ran.stderr
    );
    let quiet = run(&["encode", &model(), "no", "--quiet"]);
    assert_eq!(quiet.stderr, "");
    quiet.ok();
}

/// Writes the golden texts into a file of `name`, and returns its bytes and the report.
fn encode_to(dir: &Path, name: &str, further: &[&str]) -> (Vec<u8>, serde_json::Value) {
    let (model, texts, path) = (model(), golden_texts(), dir.join(name));
    let mut arguments = vec![
        "encode",
        &model,
        "--json",
        "--output",
        path.to_str().unwrap(),
    ];
    arguments.extend(texts.iter().map(String::as_str));
    arguments.extend(further);
    let report = run(&arguments).json();
    (fs::read(&path).unwrap(), report)
}

fn floats(bytes: &[u8]) -> Vec<Vec<f64>> {
    let values: Vec<f64> = bytes
        .chunks(4)
        .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
        .collect();
    values.chunks(32).map(<[f64]>::to_vec).collect()
}

#[test]
fn npy_holds_the_values() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, report) = encode_to(dir.path(), "a.npy", &[]);
    let header = String::from_utf8_lossy(&bytes[10..128]);
    assert!(
        header.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 32), }"),
        "{header}"
    );
    assert_close(
        &floats(&bytes[128..]),
        &rows(&golden()["embeddings"]),
        TOLERANCE,
    );
    assert_eq!(
        (&report["count"], &report["dim"], &report["truncated"]),
        (&json!(4), &json!(32), &json!(0))
    );
    assert!(
        report["tokens"].as_u64().unwrap() > 20 && report["seconds"].is_f64(),
        "{report}"
    );

    let (bytes, _) = encode_to(dir.path(), "b.npy", &["--quantize", "ubinary"]);
    let expected: Vec<u8> = rows(&golden()["ubinary"])
        .concat()
        .iter()
        .map(|x| *x as u8)
        .collect();
    assert!(
        String::from_utf8_lossy(&bytes[10..128])
            .contains("'|u1', 'fortran_order': False, 'shape': (4, 4)")
    );
    assert_eq!(bytes[128..], expected);
}

#[test]
fn safetensors_hold_the_values() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, _) = encode_to(dir.path(), "a.safetensors", &[]);
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor("embeddings").unwrap();
    assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::F32, &[4, 32][..]));
    assert_close(
        &floats(tensor.data()),
        &rows(&golden()["embeddings"]),
        TOLERANCE,
    );
}

#[test]
fn parquet_holds_texts_and_values() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, _) = encode_to(dir.path(), "a.parquet", &[]);
    let path = dir.path().join("a.parquet");
    assert_eq!(&bytes[..4], b"PAR1");
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap())
        .unwrap()
        .build()
        .unwrap();
    let batch = reader.map(Result::unwrap).next().unwrap();
    let texts = batch["text"]
        .as_any()
        .downcast_ref::<StringArray>()
        .unwrap();
    assert_eq!(texts.iter().flatten().collect::<Vec<_>>(), golden_texts());
    let lists = batch["embedding"]
        .as_any()
        .downcast_ref::<FixedSizeListArray>()
        .unwrap();
    let values = lists
        .values()
        .as_any()
        .downcast_ref::<Float32Array>()
        .unwrap();
    let found: Vec<Vec<f64>> = values
        .values()
        .chunks(32)
        .map(|row| row.iter().map(|x| f64::from(*x)).collect())
        .collect();
    assert_close(&found, &rows(&golden()["embeddings"]), TOLERANCE);
}

#[test]
fn jsonl_holds_texts_and_values() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, _) = encode_to(dir.path(), "a.jsonl", &[]);
    let lines = json_lines(std::str::from_utf8(&bytes).unwrap());
    let texts: Vec<_> = lines
        .iter()
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts, golden_texts());
    let found: Vec<_> = lines
        .iter()
        .map(|line| serde_json::from_value(line["embedding"].clone()).unwrap())
        .collect();
    assert_close(&found, &rows(&golden()["embeddings"]), TOLERANCE);
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    use std::process::Stdio;
    let texts = "It rained.\n".repeat(2000);
    let mut command = crate::common::command(&["encode", &model(), "--quiet"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), texts.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
}
