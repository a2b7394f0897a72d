//! Runs the command, and the values that Python gives for the same.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// What a run of the command left.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Standard output of a run that must have gone well.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// The only JSON value on standard output.
    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).expect("one JSON value")
    }

    /// Checks an error: exit code 2, nothing on standard output, and each of `parts` in the message, in order.
    pub fn fails_with(&self, parts: &[&str]) {
        assert_eq!((self.code, &*self.stdout), (Some(2), ""), "{}", self.stderr);
        let mut rest = &*self.stderr;
        for part in parts {
            let at = rest
                .find(part)
                .unwrap_or_else(|| panic!("no `{part}` (in this order) in:\n{}", self.stderr));
            rest = &rest[at + part.len()..];
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// The command with these arguments, away from any hub and from the user's settings.
pub fn command<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_matryo"));
    command
        .args(arguments)
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", "/nonexistent")
        .env_remove("NO_COLOR");
    command
}

pub fn run<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Ran {
    finish(command(arguments).stdin(Stdio::null()))
}

/// Runs with `input` on standard input.
pub fn run_with(arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = command(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    ran(child.wait_with_output().unwrap())
}

pub fn finish(command: &mut Command) -> Ran {
    ran(command.output().expect("the command starts"))
}

fn ran(output: std::process::Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
    }
}

/// The tiny model.
pub fn model() -> String {
    matryo_testkit::tiny_bert().to_str().unwrap().to_owned()
}

/// A copy of the tiny model to spoil.
pub fn model_copy(dir: &Path) -> PathBuf {
    let target = dir.join("tiny");
    copy_tree(&matryo_testkit::tiny_bert(), &target);
    target
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Changes a JSON file.
pub fn edit_json(path: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    edit(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// A file of the finance examples.
pub fn finance(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/finance")
        .join(name);
    path.to_str().unwrap().to_owned()
}

/// Golden values of sentence-transformers; `golden/make.py` made them.
pub fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/tiny_bert.json")).unwrap()
}

/// Texts of the golden values.
pub fn golden_texts() -> Vec<String> {
    serde_json::from_value(golden()["texts"].take()).unwrap()
}

/// Rows of numbers.
pub fn rows(value: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(value.clone()).expect("rows of numbers")
}

/// One JSON value a line.
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

/// Checks values to an absolute tolerance.
pub fn assert_close(found: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "rows");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "width of row {i}");
        for (j, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!(
                (found - expected).abs() <= tolerance,
                "row {i}, column {j}: {found}, expected {expected}"
            );
        }
    }
}
