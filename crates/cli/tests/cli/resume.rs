//! The same bits after SIGKILL at random moments, and for any number of threads.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::{command, edit_json, finance, model_copy};

const STEPS: u64 = 24;
/// Times a run is killed before it is let through.
const KILLS: usize = 5;

/// A model with dropout, whose masks a resumed run must repeat.
fn model_with_dropout(dir: &Path) -> PathBuf {
    let folder = model_copy(dir);
    edit_json(&folder.join("config.json"), |config| {
        config["hidden_dropout_prob"] = json!(0.1);
        config["attention_probs_dropout_prob"] = json!(0.1);
    });
    folder
}

/// Starts or resumes a run, its events on a pipe.
fn start(model: &Path, output: &Path, further: &[&str]) -> Child {
    let data = finance("reference/train.jsonl");
    let steps = STEPS.to_string();
    let mut arguments = vec![
        "train",
        "--model",
        model.to_str().unwrap(),
        "--output_dir",
        output.to_str().unwrap(),
    ];
    arguments.extend([
        "--train_data",
        &data,
        "--columns",
        "positive,anchor",
        "--matryoshka_dims",
        "32,8",
    ]);
    arguments.extend([
        "--per_device_train_batch_size",
        "16",
        "--gradient_accumulation_steps",
        "2",
        "--max_steps",
        &steps,
    ]);
    arguments.extend([
        "--learning_rate",
        "1e-3",
        "--batch_sampler",
        "no_duplicates",
        "--save_steps",
        "2",
    ]);
    arguments.extend([
        "--save_total_limit",
        "2",
        "--resume_from_checkpoint",
        "true",
    ]);
    arguments.extend(further);
    let mut command = command(&arguments);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts")
}

/// Runs to the end; events.
fn finish(mut child: Child) -> Vec<Value> {
    let lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let lines: Vec<String> = lines.collect();
    assert!(child.wait().unwrap().success(), "{}", lines.join("\n"));
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Lets a run take `steps` steps, waits a little longer, and kills it; whether it was still running.
fn kill_after(mut child: Child, steps: usize, wait: Duration) -> bool {
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines
        .map_while(Result::ok)
        .filter(|line| line.contains("\"event\":\"step\""))
        .take(steps)
        .for_each(drop);
    std::thread::sleep(wait);
    let was_running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    was_running
}

fn weights(output: &Path) -> String {
    let bytes = fs::read(output.join("model.safetensors")).unwrap();
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A number below `limit` that is another in every run of the test: the moments should be random.
fn random(limit: u64) -> u64 {
    let nanos = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    u64::from(nanos)
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_shr(33)
        % limit
}

#[test]
fn killed_and_resumed_is_as_uninterrupted() {
    let dir = tempfile::tempdir().unwrap();
    let model = model_with_dropout(dir.path());
    let whole = dir.path().join("whole");
    finish(start(&model, &whole, &[]));

    let killed = dir.path().join("killed");
    let mut moments = Vec::new();
    for _ in 0..KILLS {
        let (steps, wait) = (2 + random(4), random(30));
        let was_running = kill_after(
            start(&model, &killed, &[]),
            steps as usize,
            Duration::from_millis(wait),
        );
        moments.push((steps, wait, was_running));
    }
    let events = finish(start(&model, &killed, &[]));
    assert!(
        moments.iter().any(|(_, _, was_running)| *was_running),
        "killed too late: {moments:?}"
    );
    assert!(
        events[0]["resumed_step"]
            .as_u64()
            .is_some_and(|step| step > 0),
        "nothing to resume: {moments:?}"
    );
    assert_eq!(
        weights(&killed),
        weights(&whole),
        "killed after (steps, further ms, running): {moments:?}"
    );
}

#[test]
fn threads_and_memory_change_no_bit() {
    let dir = tempfile::tempdir().unwrap();
    let model = model_with_dropout(dir.path());
    let run = |name: &str, further: &[&str]| {
        let output = dir.path().join(name);
        finish(start(
            &model,
            &output,
            &[&["--save_strategy", "no"], further].concat(),
        ));
        weights(&output)
    };
    let one = run("one", &["--threads", "1"]);
    assert_eq!(run("two", &["--threads", "2"]), one);
    assert_eq!(
        run(
            "recomputed",
            &["--retain", "0", "--tokens_per_batch", "2048"]
        ),
        one
    );
    assert_ne!(
        run("other", &["--seed", "43"]),
        one,
        "dropout depends on the seed"
    );
}
