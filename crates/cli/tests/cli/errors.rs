//! Bad input: each kind with its message, its hint and exit code 2, and nothing overwritten.

use std::{fs, path::Path};

use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::json;

use crate::common::{Ran, edit_json, finance, model, model_copy, run, run_with};

const TEXT: &str = "What is goodwill?";

/// Encodes with a model into a file that holds something, which must stay as it is.
fn encode_with(folder: &Path) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("kept.npy");
    fs::write(&output, "as before").unwrap();
    let ran = run(&[
        "encode",
        folder.to_str().unwrap(),
        TEXT,
        "--output",
        output.to_str().unwrap(),
    ]);
    assert_eq!(fs::read_to_string(&output).unwrap(), "as before");
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing else is left"
    );
    ran
}

/// A spoilt copy of the model.
fn spoilt(spoil: impl FnOnce(&Path)) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let folder = model_copy(dir.path());
    spoil(&folder);
    encode_with(&folder)
}

#[test]
fn a_model_that_is_not_there() {
    let near = model().replace("tiny-bert", "tiny-brt");
    run(&["encode", &near, TEXT]).fails_with(&[
        "error: no model folder at ",
        "tiny-brt",
        "hint: did you mean",
        "tiny-bert",
    ]);
    run(&["encode", "org/name", TEXT]).fails_with(&[
        "error: `org/name`",
        "not in the cache",
        "hint: ",
        "HF_HUB_OFFLINE",
    ]);
}

#[test]
fn missing_weights() {
    let ran = spoilt(|folder| fs::remove_file(folder.join("model.safetensors")).unwrap());
    ran.fails_with(&[
        "error: the model folder has no `model.safetensors`",
        "in ",
        "tiny",
    ]);
}

#[test]
fn truncated_weights() {
    let ran = spoilt(|folder| {
        let path = folder.join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    ran.fails_with(&[
        "error: the file has ",
        "its header promises",
        "model.safetensors",
        "hint: the file was cut short",
    ]);
}

/// Writes the weights again with one tensor of another shape.
fn reshape(path: &Path, name: &str, shape: &[usize]) {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors().into_iter().map(|(found, tensor)| {
        if found != name {
            return (found, tensor);
        }
        let length: usize = shape.iter().product::<usize>() * 4;
        (
            found,
            TensorView::new(tensor.dtype(), shape.to_vec(), &tensor.data()[..length]).unwrap(),
        )
    });
    let bytes = safetensors::serialize(tensors.collect::<Vec<_>>(), None).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_tensor_of_another_shape() {
    let name = "encoder.layer.1.output.dense.weight";
    let ran = spoilt(|folder| reshape(&folder.join("model.safetensors"), name, &[32, 63]));
    ran.fails_with(&[
        "error: tensor `encoder.layer.1.output.dense.weight` has shape [32, 63], expected [32, 64]",
        "in ",
        "model.safetensors",
        "hint: `intermediate_size` in config.json is 64",
    ]);
}

#[test]
fn an_unknown_key_of_pooling() {
    let ran = spoilt(|folder| {
        edit_json(&folder.join("1_Pooling/config.json"), |config| {
            config["pooling_mode_mean_token"] = json!(true)
        });
    });
    ran.fails_with(&[
        "error: unknown key `pooling_mode_mean_token`",
        "1_Pooling",
        "hint: did you mean `pooling_mode_mean_tokens`",
    ]);
}

#[test]
fn an_unknown_model_type() {
    let ran = spoilt(|folder| {
        edit_json(&folder.join("config.json"), |config| {
            config["model_type"] = json!("mamba")
        })
    });
    ran.fails_with(&[
        "error: `model_type` is \"mamba\"",
        "config.json",
        "hint: supported are albert, bert, ",
    ]);
}

#[test]
fn data_files_that_cannot_be_read_as_texts() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&str, &[u8], &[&str]); 6] = [
        (
            "a.jsonl",
            b"{\"txt\": \"a\"}\n",
            &[
                "error: no column `text`",
                "a.jsonl",
                "hint: did you mean `txt`",
            ],
        ),
        ("b.jsonl", b"", &["error: no rows", "b.jsonl"]),
        (
            "c.jsonl",
            b"{\"text\": \"a\"}\n{\"text\": null}\n",
            &["error: column `text` is null", "line 2", "hint: "],
        ),
        (
            "d.jsonl",
            b"{\"text\": \"a\"}\n{\"text\": \"\xff\"}\n",
            &["error: not valid UTF-8", "line 2", "hint: convert"],
        ),
        (
            "e.jsonl",
            b"{\"text\": 1}\n",
            &["error: column `text` holds a number", "line 1"],
        ),
        (
            "f.doc",
            b"a",
            &[
                "error: cannot tell the format",
                "f.doc",
                "hint: expected .jsonl",
            ],
        ),
    ];
    for (name, content, parts) in cases {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        run(&[
            "encode",
            &model(),
            "--input",
            path.to_str().unwrap(),
            "--column",
            "text",
        ])
        .fails_with(parts);
    }
    run_with(&["encode", &model()], b"a\n\xff\n")
        .fails_with(&["error: not valid UTF-8", "standard input, line 2"]);
    run_with(&["encode", &model()], b"")
        .fails_with(&["error: no text to work on", "hint: give texts as arguments"]);
}

#[test]
fn outputs_that_cannot_be_written() {
    run(&["encode", &model(), TEXT, "--output", "a.txt"]).fails_with(&[
        "error: cannot tell the format of a.txt",
        "hint: the name should end in .npy",
    ]);
    run(&["encode", &model(), TEXT, "--output", "/nonexistent/a.npy"]).fails_with(&[
        "error: the folder of /nonexistent/a.npy does not exist",
        "hint: ",
    ]);
}

#[test]
fn options_that_do_not_fit_the_model() {
    let encode = |further: &[&str]| run(&[&["encode", &*model(), TEXT], further].concat());
    encode(&["--truncate-dim", "33"])
        .fails_with(&["error: cannot keep 33 dimensions, expected 1 to 32"]);
    encode(&["--max-seq-length", "129"]).fails_with(&[
        "error: the longest input is set to 129",
        "128",
        "hint: ",
    ]);
    encode(&["--prompt-name", "query"]).fails_with(&[
        "error: unknown prompt name `query`",
        "hint: the model has no prompts",
    ]);
    let data = finance("reference/eval");
    run(&["eval", &model(), "--data", &data, "--dims", "64,8"]).fails_with(&[
        "error: `dims` names 64",
        "32 values",
        "hint: 32 is the largest",
    ]);
    run(&[
        "eval",
        &model(),
        "--data",
        &data,
        "--require",
        "dim_32_cosine_ndgc@10=0.1",
    ])
    .fails_with(&[
        "error: no metric `dim_32_cosine_ndgc@10`",
        "hint: did you mean `dim_32_cosine_ndcg@10`?",
    ]);
}

#[test]
fn comparisons_that_make_no_sense() {
    run(&["similarity", &model(), "a"])
        .fails_with(&["error: nothing to compare with", "hint: give more texts"]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.txt");
    fs::write(&path, "a\nb\n").unwrap();
    run(&[
        "similarity",
        &model(),
        "a",
        "--against",
        path.to_str().unwrap(),
        "--pairwise",
    ])
    .fails_with(&["error: 1 texts on one side and 2 on the other"]);
}

#[test]
fn a_folder_that_is_not_empty() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept.txt");
    fs::write(&kept, "as before").unwrap();
    let target = dir.path().to_str().unwrap();
    run(&["save", &model(), target]).fails_with(&[
        "error: the folder ",
        "is not empty",
        "hint: give a new folder",
    ]);
    let data = finance("reference/train.jsonl");
    run(&[
        "train",
        "--model",
        &model(),
        "--train_data",
        &data,
        "--columns",
        "positive,anchor",
        "--output_dir",
        target,
    ])
    .fails_with(&["error: ", "not empty", "hint: "]);
    assert_eq!(fs::read_to_string(&kept).unwrap(), "as before");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn settings_of_a_training() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    fs::write(&config, "model = \"x\"\nlearnig_rate = 1e-5\n").unwrap();
    run(&["train", config.to_str().unwrap()]).fails_with(&[
        "error: unknown key `learnig_rate`",
        "config.toml, line 2",
        "hint: did you mean `learning_rate`?",
    ]);
    run(&["train", "--learnig-rate", "1e-5"]).fails_with(&[
        "error: unknown key `learnig_rate`",
        "on the command line",
        "hint: did you mean `learning_rate`?",
    ]);
    run(&["train", "--fp16", "true"]).fails_with(&[
        "error: `fp16 = true` is not supported: ",
        "there is no float16",
    ]);
    run(&["train", "--max_steps", "many"])
        .fails_with(&["error: `max_steps` is many, expected a whole number"]);
    run(&["train"]).fails_with(&[
        "error: `model` is missing",
        "hint: set it in the file, or with --model",
    ]);
    let target = dir.path().join("out");
    let data = finance("reference/train.jsonl");
    let train = [
        "train",
        "--model",
        &model(),
        "--train_data",
        &data,
        "--output_dir",
        target.to_str().unwrap(),
    ];
    run(&[
        &train[..],
        &["--columns", "positive,anchor", "--matryoshka_dims", "64,32"],
    ]
    .concat())
    .fails_with(&["error: ", "64", "32"]);
    run(&[&train[..], &["--columns", "positive,question"]].concat())
        .fails_with(&["error: no column `question`", "train.jsonl"]);
    assert!(!target.exists(), "nothing was made");
}

#[test]
fn training_data_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out");
    let good = "{\"anchor\": \"a\", \"positive\": \"b\"}\n";
    let cases: [(&str, &[u8], &[&str]); 5] = [
        ("a.jsonl", b"", &["error: no rows", "a.jsonl"]),
        (
            "b.jsonl",
            b"{\"anchor\": \"a\", \"positive\": null}\n",
            &["error: column `positive` is null", "line 2", "hint: "],
        ),
        (
            "c.jsonl",
            b"{\"anchor\": \"\xe9\", \"positive\": \"b\"}\n",
            &["error: not valid UTF-8", "line 2", "hint: "],
        ),
        (
            "d.jsonl",
            b"{\"anchor\": 7, \"positive\": \"b\"}\n",
            &["error: column `anchor` holds a number", "line 2"],
        ),
        (
            "e.jsonl",
            b"{\"anchor\": \"a\"\n",
            &["error: not valid JSON", "line 2", "hint: "],
        ),
    ];
    for (name, content, parts) in cases {
        let path = dir.path().join(name);
        let start = if content.is_empty() { "" } else { good };
        fs::write(&path, [start.as_bytes(), content].concat()).unwrap();
        let (data, output) = (path.to_str().unwrap(), output.to_str().unwrap());
        run(&[
            "train",
            "--model",
            &model(),
            "--train_data",
            data,
            "--output_dir",
            output,
        ])
        .fails_with(parts);
    }
    assert!(!output.exists(), "nothing was made");
}

/// `/dev/full` refuses every byte.
#[cfg(target_os = "linux")]
#[test]
fn a_full_device() {
    run_with(&["encode", &model(), TEXT, "--output", "/dev/full"], b"")
        .fails_with(&["error: cannot tell the format"]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = crate::common::command(&["encode", &model(), TEXT, "--quiet"]);
    let ran = crate::common::finish(command.stdout(full));
    ran.fails_with(&[
        "error: cannot write to standard output: No space left",
        "hint: the disk is full",
    ]);
}

/// A file system of a few kilobytes, unmounted in the end.
#[cfg(target_os = "linux")]
struct TinyDisk {
    dir: tempfile::TempDir,
}

#[cfg(target_os = "linux")]
impl TinyDisk {
    /// `None` where mounting is not allowed.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null())
            .status();
        mount
            .is_ok_and(|status| status.success())
            .then_some(Self { dir })
    }
}

#[cfg(target_os = "linux")]
impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg(self.dir.path())
            .status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_overwrites_nothing() {
    let Some(disk) = TinyDisk::mount() else {
        eprintln!("skipped: mounting a small tmpfs needs root");
        return;
    };
    let output = disk.dir.path().join("a.npy");
    fs::write(&output, "as before").unwrap();
    let many = "It rained.\n".repeat(2000);
    run_with(
        &["encode", &model(), "--output", output.to_str().unwrap()],
        many.as_bytes(),
    )
    .fails_with(&[
        "error: cannot write ",
        "a.npy",
        "No space left",
        "hint: the disk is full; nothing was overwritten",
    ]);
    assert_eq!(fs::read_to_string(&output).unwrap(), "as before");
    let target = disk.dir.path().join("model");
    run(&["save", &model(), target.to_str().unwrap()])
        .fails_with(&["error: cannot write ", "hint: the disk is full"]);
    assert_eq!(
        fs::read_dir(disk.dir.path()).unwrap().count(),
        1,
        "no half model is left"
    );
    let data = finance("reference/train.jsonl");
    let train = [
        "train",
        "--model",
        &model(),
        "--train_data",
        &data,
        "--columns",
        "positive,anchor",
        "--quiet",
    ];
    run(&[
        &train[..],
        &["--max_steps", "1", "--output_dir", target.to_str().unwrap()],
    ]
    .concat())
    .fails_with(&["error: cannot ", "No space left", "hint: the disk is full"]);
    assert!(!target.join("model.safetensors").exists() && !target.join("checkpoint-1").exists());
    assert_eq!(fs::read_to_string(&output).unwrap(), "as before");
}
