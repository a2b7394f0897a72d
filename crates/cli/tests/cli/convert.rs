//! `matryo convert`: pickles made readable, and what is refused.

use std::{fs, path::Path};

use crate::common::run;

fn folder_with(pickle: &str) -> tempfile::TempDir {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let from = crates.join("pickle/tests/golden").join(pickle);
    fs::copy(from, dir.path().join("pytorch_model.bin")).unwrap();
    dir
}

#[test]
fn files_are_written_beside_the_pickles_and_told() {
    let dir = folder_with("tensors.stream.bin");
    let path = dir.path().display().to_string();
    let report = run(&["convert", &path, "--json"]).json();
    assert_eq!(report[0]["tensors"], 19);
    let written = dir.path().join("model.safetensors");
    assert_eq!(report[0]["path"].as_str(), written.to_str());
    assert!(written.is_file() && dir.path().join("pytorch_model.bin").is_file());
    run(&["convert", &path]).fails_with(&["no pytorch_model.bin without a model.safetensors"]);
}

#[test]
fn refusals_name_the_file_and_the_way_out() {
    let nested = folder_with("nested.bin");
    let path = nested.path().display().to_string();
    run(&["convert", &path]).fails_with(&[
        "no tensors at the top",
        "pytorch_model.bin",
        "state_dict",
        "--key",
    ]);
    run(&["convert", &path, "--key", "state_dict"]).ok();
    let hostile = folder_with("hostile.bin");
    let path = hostile.path().display().to_string();
    run(&["convert", &path]).fails_with(&["posix.system", "pytorch_model.bin", "torch.save"]);
    run(&["convert", "/nonexistent"]).fails_with(&["/nonexistent"]);
}
