//! Help, completions, manual pages, and usage errors.

use std::fs;

use crate::common::run;

const COMMANDS: [&str; 14] = [
    "train",
    "eval",
    "encode",
    "similarity",
    "classify",
    "sts",
    "mine",
    "duplicates",
    "cluster",
    "info",
    "card",
    "save",
    "completions",
    "man",
];

#[test]
fn help_names_every_command_and_every_command_has_help() {
    let help = run(&["--help"]).ok();
    for command in COMMANDS {
        assert!(
            help.lines()
                .any(|line| line.trim_start().starts_with(command)),
            "no {command} in\n{help}"
        );
        let own = run(&[command, "--help"]).ok();
        assert!(own.contains(&format!("Usage: matryo {command}")), "{own}");
        assert!(
            own.contains("--threads <N>") && own.contains("--quiet") && own.contains("--json"),
            "{own}"
        );
    }
}

#[test]
fn the_help_of_train_has_every_key_and_the_schema() {
    let help = run(&["train", "--help"]).ok();
    for key in matryo_train::TrainConfig::keys() {
        assert!(
            help.contains(&format!("--{} ", key.name)),
            "no {}",
            key.name
        );
    }
    for event in ["plan", "warning", "step", "evaluated", "saved", "done"] {
        assert!(
            help.lines()
                .any(|line| line.trim_start().starts_with(event)),
            "no event {event}"
        );
    }
}

#[test]
fn the_version_is_told() {
    assert_eq!(
        run(&["--version"]).ok(),
        format!("matryo {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn completions_know_keys_and_values() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]).ok();
        assert!(
            script.contains("matryoshka_dims") && script.contains("ubinary"),
            "{shell}"
        );
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    assert!(run(&["man"]).ok().contains(".TH matryo 1"));
    let dir = tempfile::tempdir().unwrap();
    run(&["man", dir.path().to_str().unwrap()]).ok();
    for command in COMMANDS {
        let page = fs::read_to_string(dir.path().join(format!("matryo-{command}.1"))).unwrap();
        assert!(page.contains(&format!("matryo\\-{command}")), "{page}");
    }
    assert!(dir.path().join("matryo.1").exists());
}

#[test]
fn a_wrong_use_is_exit_code_2_with_a_suggestion() {
    run(&["enocde", "x"]).fails_with(&["error: unrecognized subcommand", "encode"]);
    run(&["encode", "x", "--precison", "int8"])
        .fails_with(&["error: unexpected argument", "--precision"]);
    run(&["encode", "x", "y", "--threads", "0"])
        .fails_with(&["error: invalid value '0' for '--threads <N>'"]);
    run(&["similarity", "x", "a", "b", "--score", "cos"])
        .fails_with(&["error: invalid value 'cos'", "cosine"]);
}
