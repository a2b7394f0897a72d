//! The house rules that a compiler does not check: which crate may use which, and where `unsafe` may stand.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What each crate may depend on, as ARCHITECTURE.md draws it. `*` is everything.
const ARROWS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("kernels", &["base"]),
    ("data", &["base"]),
    ("pickle", &["base"]),
    ("ops", &["kernels"]),
    ("index", &["kernels"]),
    ("mining", &["index", "kernels", "base"]),
    ("nn", &["ops", "kernels", "base"]),
    ("model", &["nn", "ops", "pickle", "base"]),
    ("losses", &["ops", "base"]),
    ("eval", &["model", "index", "data", "base"]),
    ("collection", &["model", "index", "data", "ops", "base"]),
    ("train", &["model", "losses", "data", "eval", "ops", "base"]),
    ("classify", &["train", "model", "data", "ops", "base"]),
    ("distill", &["model", "ops", "base"]),
    ("cli", &["*"]),
    ("matryo", &["*"]),
    ("testkit", &["base"]),
];

/// Lines above a block within which its reason must begin.
const REASON_WITHIN: usize = 4;

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("crates/testkit lies in crates/")
        .to_owned()
}

fn names_of_crates() -> Vec<String> {
    let entries = fs::read_dir(crates())
        .expect("crates/ can be listed")
        .map(|e| e.expect("an entry"));
    let folders = entries.filter(|e| e.path().join("Cargo.toml").is_file());
    folders
        .map(|e| e.file_name().into_string().expect("a UTF-8 name"))
        .collect()
}

fn manifest(name: &str) -> toml::Table {
    let path = crates().join(name).join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse()
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Crates of this workspace in the tables called `kind`, also in those below `[target]`.
fn dependencies(table: &toml::Table, kind: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(toml::Value::Table(listed)) = table.get(kind) {
        let renamed = |key: &str, value: &toml::Value| {
            value
                .get("package")
                .and_then(toml::Value::as_str)
                .unwrap_or(key)
                .to_owned()
        };
        let packages = listed.iter().map(|(key, value)| renamed(key, value));
        found.extend(packages.filter_map(|p| short_name(&p)));
    }
    if let Some(toml::Value::Table(targets)) = table.get("target") {
        found.extend(
            targets
                .values()
                .filter_map(toml::Value::as_table)
                .flat_map(|t| dependencies(t, kind)),
        );
    }
    found
}

fn short_name(package: &str) -> Option<String> {
    if package == "matryo" {
        Some(package.to_owned())
    } else {
        package.strip_prefix("matryo-").map(str::to_owned)
    }
}

fn allowed(from: &str, to: &str) -> bool {
    let (_, targets) = ARROWS
        .iter()
        .find(|(name, _)| *name == from)
        .unwrap_or_else(|| panic!("crate `{from}` has no row"));
    to != "testkit" && (targets.contains(&to) || targets.contains(&"*"))
}

#[test]
fn every_crate_has_a_row_and_the_reverse() {
    let mut found = names_of_crates();
    let mut listed: Vec<_> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    found.sort();
    listed.sort();
    assert_eq!(found, listed);
}

#[test]
fn crates_depend_only_downwards() {
    for name in names_of_crates() {
        let table = manifest(&name);
        for kind in ["dependencies", "build-dependencies"] {
            for to in dependencies(&table, kind) {
                assert!(
                    allowed(&name, &to),
                    "crates/{name}/Cargo.toml: [{kind}] may not name `{to}`"
                );
            }
        }
        for to in dependencies(&table, "dev-dependencies") {
            assert!(
                to == "testkit" || allowed(&name, &to),
                "crates/{name}/Cargo.toml: tests may not use `{to}`"
            );
        }
    }
}

#[test]
fn the_check_of_arrows_can_fail() {
    let table: toml::Table = "[target.'cfg(unix)'.dependencies]\nx = { package = 'matryo-train' }"
        .parse()
        .unwrap();
    assert_eq!(dependencies(&table, "dependencies"), ["train"]);
    assert!(!allowed("eval", "train") && !allowed("model", "testkit") && allowed("eval", "data"));
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Whether code on this line, comments aside, says the keyword. Written apart here, so that this file does not say it.
fn says_keyword(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| word == concat!("un", "safe"))
}

fn opens_block(line: &str) -> bool {
    says_keyword(line) && line.contains(concat!("un", "safe {"))
}

/// Whether a `SAFETY:` comment stands on the line, or begins within a few lines above it.
fn has_reason(lines: &[&str], block: usize) -> bool {
    let mut start = block.saturating_sub(REASON_WITHIN);
    while start > 0 && lines[start].trim_start().starts_with("//") {
        start -= 1;
    }
    lines[start..=block]
        .iter()
        .any(|line| line.contains("SAFETY:"))
}

#[test]
fn only_kernels_say_the_keyword() {
    for name in names_of_crates().iter().filter(|name| *name != "kernels") {
        let mut files = Vec::new();
        rust_files(&crates().join(name), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).expect("a source file");
            let line = text.lines().position(says_keyword);
            assert!(
                line.is_none(),
                "{}:{}: belongs in crates/kernels",
                file.display(),
                line.unwrap_or(0) + 1
            );
        }
    }
}

#[test]
fn every_block_has_its_reason() {
    let mut files = Vec::new();
    rust_files(&crates().join("kernels"), &mut files);
    assert!(!files.is_empty(), "crates/kernels has source files");
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let lines: Vec<_> = text.lines().collect();
        for block in (0..lines.len()).filter(|&i| opens_block(lines[i])) {
            assert!(
                has_reason(&lines, block),
                "{}:{}: no SAFETY comment above",
                file.display(),
                block + 1
            );
        }
    }
}

#[test]
fn the_check_of_reasons_can_fail() {
    let block = concat!("let x = un", "safe { *p };");
    assert!(opens_block(block) && !opens_block("// un\u{73}afe { in a comment }"));
    assert!(has_reason(&["// SAFETY: p is valid", block], 1));
    assert!(!has_reason(&["// p is valid", "", "", "", "", block], 5));
}
