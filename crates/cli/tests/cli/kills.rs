//! Killed at any time while adding, updating and optimizing: what was acknowledged is there, once, and the same call ends the work.

use std::{collections::BTreeSet, fs, path::Path, process::Stdio, thread, time::Duration};

use matryo_testkit::pseudo_random;
use serde_json::json;

use crate::common::{command, finance, json_lines, model, run};

/// Documents of an addition, and of them the acknowledged ones that are added again; documents of an update.
const ADDED: usize = 120;
const AGAIN: usize = 40;
const UPDATED: usize = 80;

/// The longest time before a kill, about as long as the work takes.
const LATEST: Duration = Duration::from_millis(160);

/// Numbers from 0 up to 1, the same in every run.
struct Random(std::vec::IntoIter<f32>);

impl Random {
    fn next(&mut self) -> f64 {
        f64::from(self.0.next().expect("more numbers"))
            .abs()
            .min(0.999_999)
    }

    fn below(&mut self, len: usize) -> usize {
        (self.next() * len as f64) as usize
    }
}

/// A collection, and the ids of the documents that it must hold.
struct Victim {
    folder: tempfile::TempDir,
    texts: Vec<String>,
    acknowledged: Vec<String>,
    random: Random,
    killed: usize,
}

impl Victim {
    fn new(seed: u64) -> Self {
        let rows = json_lines(&fs::read_to_string(finance("eval/corpus.jsonl")).unwrap());
        Self {
            folder: tempfile::tempdir().unwrap(),
            texts: rows
                .iter()
                .map(|row| row["text"].as_str().unwrap().to_owned())
                .collect(),
            acknowledged: Vec::new(),
            random: Random(pseudo_random(1 << 20, seed).into_iter()),
            killed: 0,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Texts of one round under some ids.
    fn documents(&mut self, round: usize, ids: &[String]) -> String {
        let row = |id: &String| {
            let text = &self.texts[self.random.below(self.texts.len())];
            format!(
                "{}\n",
                json!({ "id": id, "text": format!("{text} {round}"), "round": round })
            )
        };
        let lines: String = ids.iter().map(row).collect();
        let path = self.path("docs.jsonl");
        fs::write(&path, lines).unwrap();
        path
    }

    fn some_acknowledged(&mut self, count: usize) -> Vec<String> {
        let chosen: BTreeSet<usize> = (0..count)
            .map(|_| self.random.below(self.acknowledged.len()))
            .collect();
        chosen
            .into_iter()
            .map(|i| self.acknowledged[i].clone())
            .collect()
    }

    /// Chooses work, kills it, looks, and does it again to its end.
    fn round(&mut self, round: usize) {
        let collection = self.path("collection");
        let kind = if self.acknowledged.is_empty() {
            0
        } else {
            self.random.below(4)
        };
        let (ids, command) = match kind {
            0 | 1 => {
                let mut ids: Vec<String> = (0..ADDED).map(|i| format!("{round}-{i}")).collect();
                if !self.acknowledged.is_empty() {
                    ids.extend(self.some_acknowledged(AGAIN));
                }
                let documents = self.documents(round, &ids);
                let made = [
                    "index",
                    "add",
                    &collection,
                    "--model",
                    &model(),
                    &documents,
                    "--chunk-tokens",
                    "64",
                ];
                (ids, made.map(str::to_owned).to_vec())
            }
            2 => {
                let ids = self.some_acknowledged(UPDATED);
                let documents = self.documents(round, &ids);
                (
                    ids,
                    [
                        "index",
                        "update",
                        &collection,
                        "--model",
                        &model(),
                        &documents,
                    ]
                    .map(str::to_owned)
                    .to_vec(),
                )
            }
            _ => (
                Vec::new(),
                ["index", "optimize", &collection]
                    .map(str::to_owned)
                    .to_vec(),
            ),
        };
        self.kill(&command);
        if Path::new(&collection).join("collection.json").exists() {
            self.look(&collection, round);
        } else {
            assert!(
                self.acknowledged.is_empty(),
                "round {round}: the collection is gone"
            );
        }
        run(&command).ok();
        let known: BTreeSet<String> = self.acknowledged.drain(..).chain(ids).collect();
        self.acknowledged = known.into_iter().collect();
        let info = run(&["index", "info", &collection, "--json"]).json();
        assert_eq!(
            info["documents"],
            self.acknowledged.len(),
            "round {round}: {command:?}"
        );
        if kind < 3 {
            let again = run(&[command, vec!["--json".to_owned()]].concat()).json();
            assert_eq!(
                (&again["added"], &again["replaced"]),
                (&json!(0), &json!(0)),
                "round {round}"
            );
        }
    }

    fn kill(&mut self, arguments: &[String]) {
        let mut child = command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(LATEST.mul_f64(self.random.next()));
        self.killed += usize::from(child.try_wait().unwrap().is_none());
        // SIGKILL: nothing can be tidied up.
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Every acknowledged document is there, and none twice.
    fn look(&self, collection: &str, round: usize) {
        let found = run(&[
            "search", collection, "goodwill", "--top", "100000", "--json",
        ])
        .json();
        let ids: Vec<&str> = found["results"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|hit| hit["id"].as_str())
            .collect();
        let once: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(
            once.len(),
            ids.len(),
            "round {round}: a document is there twice"
        );
        let lost: Vec<&String> = self
            .acknowledged
            .iter()
            .filter(|id| !once.contains(id.as_str()))
            .collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} are lost");
    }
}

fn survives(rounds: usize, seed: u64) {
    let mut victim = Victim::new(seed);
    (0..rounds).for_each(|round| victim.round(round));
    assert!(
        victim.killed * 2 > rounds,
        "only {} of {rounds} were killed before they ended",
        victim.killed
    );
}

#[test]
fn no_document_is_lost_or_there_twice() {
    survives(8, 1);
}

#[test]
#[ignore = "takes minutes"]
fn no_document_is_lost_or_there_twice_in_a_hundred_rounds() {
    survives(100, 2);
}
