//! Samplers against the batches of real training runs and of upstream's sampler classes, and what must hold always.

use std::collections::HashSet;

use matryo_data::{BatchSampler, Compat, Dataset, NoDuplicates, Rows, Sampler, batches_per_epoch};
use serde_json::Value;

type Batches = Vec<Vec<u32>>;

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn batches(value: &Value) -> Batches {
    serde_json::from_value(value.clone()).unwrap()
}

/// Rows whose texts are the numbers given: only their equality counts.
fn rows(ids: &Value) -> Dataset {
    let ids: Vec<Vec<u32>> = serde_json::from_value(ids.clone()).unwrap();
    let column = |index: usize| ids.iter().map(|row| row[index].to_string()).collect();
    Dataset::from_columns(vec!["a".into(), "b".into()], vec![column(0), column(1)])
}

fn numbered(n: usize) -> Dataset {
    let column = |name: &str| (0..n).map(|row| format!("{name} {row}")).collect();
    Dataset::from_columns(vec!["a".into(), "b".into()], vec![column("a"), column("b")])
}

fn no_duplicates(case: &Value, compat: Compat) -> NoDuplicates {
    let batch_size = case["batch_size"].as_u64().unwrap() as usize;
    NoDuplicates {
        batch_size,
        drop_last: case["drop_last"].as_bool().unwrap(),
        compat,
    }
}

/// Every batch that the loaders of the recorded runs produced, also those that were not trained on.
#[test]
fn no_duplicates_equals_recorded_runs() {
    let golden = golden(include_str!("../golden/recorded_batches.json"));
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(
        cases
            .iter()
            .map(|case| case["runs"].as_array().unwrap().len())
            .sum::<usize>(),
        11
    );
    for case in cases {
        let rows = rows(&golden["text_ids"][case["data"].as_str().unwrap()]);
        let recorded = case["epochs"].as_array().unwrap().iter().map(batches);
        if case["compat"] == "3.0" {
            let sampler = no_duplicates(case, Compat::V3_0);
            let recorded: Batches = recorded.flatten().collect();
            let produced = (0..)
                .flat_map(|epoch| sampler.epoch(&rows, epoch))
                .take(recorded.len());
            assert_eq!(produced.collect::<Batches>(), recorded, "{}", case["runs"]);
            continue;
        }
        let sampler = no_duplicates(case, Compat::Current);
        for (epoch, recorded) in recorded.enumerate() {
            assert!(recorded.len() >= batches_per_epoch(rows.len(), sampler.batch_size, false));
            let produced = sampler.epoch(&rows, epoch as u64);
            assert_eq!(
                produced[..recorded.len()],
                recorded,
                "{} epoch {epoch}",
                case["runs"]
            );
        }
    }
}

/// Many duplicates, so that many rows are passed over, and 3.0's set is rebuilt while rows are left.
#[test]
fn no_duplicates_equals_upstream_classes() {
    let golden = golden(include_str!("../golden/no_duplicates.json"));
    let mut not_ascending = 0;
    for case in golden["cases"].as_array().unwrap() {
        let rows = rows(&case["text_ids"]);
        let produced = no_duplicates(case, Compat::V3_0).epoch(&rows, 0);
        assert_eq!(produced, batches(&case["v3_0"]), "3.0, {} rows", rows.len());
        not_ascending += produced.iter().filter(|batch| !batch.is_sorted()).count();
        for (epoch, expected) in case
            .get("current")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let produced =
                no_duplicates(case, Compat::Current).epoch(&rows, epoch.parse().unwrap());
            assert_eq!(
                produced,
                batches(expected),
                "5.7, {} rows, epoch {epoch}",
                rows.len()
            );
        }
    }
    assert!(
        not_ascending > 0,
        "no case shows that a Python set is not sorted"
    );
}

#[test]
fn batch_sampler_equals_upstream() {
    let golden = golden(include_str!("../golden/batch_sampler.json"));
    for (key, compat) in [("current", Compat::Current), ("v3_0", Compat::V3_0)] {
        for case in golden[key].as_array().unwrap() {
            let sampler = BatchSampler {
                batch_size: case["batch"].as_u64().unwrap() as usize,
                drop_last: case["drop_last"].as_bool().unwrap(),
                seed: case["seed"].as_u64().unwrap(),
                data_seed: case["data_seed"].as_u64(),
                compat,
            };
            let rows = numbered(case["n"].as_u64().unwrap() as usize);
            let epochs = 0..case["epochs"].as_u64().unwrap();
            let produced: Batches = epochs
                .flat_map(|epoch| sampler.epoch(&rows, epoch))
                .collect();
            assert_eq!(produced, batches(&case["batches"]), "{key}: {case}");
        }
    }
}

/// A data set with texts drawn from few, by a small linear congruential generator.
fn crowded(n: usize, distinct: [u64; 2], seed: u64) -> Dataset {
    let mut state = seed;
    let mut draw = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below).to_string()
    };
    let columns = distinct.map(|distinct| (0..n).map(|_| draw(distinct)).collect::<Vec<_>>());
    Dataset::from_columns(vec!["a".into(), "b".into()], columns.to_vec())
}

/// The walk as it is described, without queues.
fn plain_walk(rows: &dyn Rows, mut left: Vec<u32>, size: usize) -> Batches {
    let mut batches = Vec::new();
    while !left.is_empty() {
        let (mut seen, mut batch) = (HashSet::new(), Vec::new());
        left.retain(|&row| {
            let texts = [0, 1].map(|column| rows.text(row as usize, column));
            let take = batch.len() < size && texts.iter().all(|text| !seen.contains(text));
            if take {
                seen.extend(texts);
                batch.push(row);
            }
            !take
        });
        batches.push(batch);
    }
    batches
}

#[test]
fn queues_change_nothing() {
    for seed in 0..40 {
        let distinct = [1 + seed * 3 % 37, 1 + seed * 7 % 101];
        let rows = crowded(300 + seed as usize, distinct, seed);
        for size in [1, 2, 7, 32] {
            let sampler = NoDuplicates {
                batch_size: size,
                drop_last: false,
                compat: Compat::Current,
            };
            let expected = plain_walk(&rows, matryo_data::randperm(rows.len(), seed), size);
            assert_eq!(
                sampler.epoch(&rows, seed),
                expected,
                "{distinct:?}, batches of {size}"
            );
        }
    }
}

#[test]
fn every_row_comes_once_and_no_text_twice_in_a_batch() {
    let rows = crowded(3000, [250, 900], 1);
    for compat in [Compat::Current, Compat::V3_0] {
        let produced = NoDuplicates {
            batch_size: 32,
            drop_last: false,
            compat,
        }
        .epoch(&rows, 5);
        let mut visited = vec![0; rows.len()];
        for batch in &produced {
            let texts: HashSet<_> = batch
                .iter()
                .flat_map(|&row| {
                    HashSet::from([0, 1].map(|column| rows.text(row as usize, column)))
                })
                .collect();
            let expected: usize = batch
                .iter()
                .map(|&row| {
                    HashSet::from([0, 1].map(|column| rows.text(row as usize, column))).len()
                })
                .sum();
            assert_eq!(texts.len(), expected, "a text twice");
            batch.iter().for_each(|&row| visited[row as usize] += 1);
        }
        assert!(visited.iter().all(|&times| times == 1));
    }
    let produced = BatchSampler {
        batch_size: 32,
        drop_last: false,
        seed: 42,
        data_seed: None,
        compat: Compat::Current,
    };
    let mut visited: Vec<u32> = produced.epoch(&rows, 2).concat();
    visited.sort_unstable();
    assert_eq!(visited, (0..3000).collect::<Vec<_>>());
}

/// One text in every second row. Passing over those rows one by one would take hours; the limit is the test runner's.
#[test]
fn a_text_everywhere_does_not_make_it_quadratic() {
    let n = 400_000;
    let common = (0..n)
        .map(|row| {
            if row % 2 == 0 {
                "yes".to_owned()
            } else {
                format!("a {row}")
            }
        })
        .collect();
    let own = (0..n).map(|row| format!("b {row}")).collect();
    let rows = Dataset::from_columns(vec!["a".into(), "b".into()], vec![common, own]);
    let produced = NoDuplicates {
        batch_size: 32,
        drop_last: false,
        compat: Compat::Current,
    }
    .epoch(&rows, 0);
    assert_eq!(produced.len(), n / 2);
}

#[test]
fn batches_are_reckoned_as_upstream_does() {
    assert_eq!(
        [(196, false), (196, true), (0, false)].map(|(n, drop)| batches_per_epoch(n, 32, drop)),
        [7, 6, 0]
    );
}
