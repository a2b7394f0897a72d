//! `randperm` against PyTorch.

use matryo_data::{Mt19937, randperm};
use serde_json::Value;

#[test]
fn equals_torch() {
    let golden: Value = serde_json::from_str(include_str!("../golden/randperm.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 25);
    for case in cases {
        let (n, seed) = (
            case["n"].as_u64().unwrap() as usize,
            case["seed"].as_u64().unwrap(),
        );
        let order = randperm(n, seed);
        if let Some(expected) = case.get("order") {
            assert_eq!(
                serde_json::to_value(&order).unwrap(),
                *expected,
                "n {n}, seed {seed}"
            );
            continue;
        }
        assert_eq!(
            serde_json::to_value(&order[..10]).unwrap(),
            case["start"],
            "n {n}, seed {seed}"
        );
        assert_eq!(
            serde_json::to_value(&order[n - 10..]).unwrap(),
            case["end"],
            "n {n}, seed {seed}"
        );
        let weighted_sum: u64 = order
            .iter()
            .enumerate()
            .map(|(i, &x)| i as u64 * u64::from(x))
            .sum();
        assert_eq!(
            weighted_sum,
            case["weighted_sum"].as_u64().unwrap(),
            "n {n}, seed {seed}"
        );
    }
}

#[test]
fn of_nothing_is_nothing() {
    assert!(randperm(0, 42).is_empty());
}

/// The 10,000th number of the default seed 5489, as the C++ standard demands of `std::mt19937` ([rand.predef]).
#[test]
fn twister_is_the_standard_one() {
    let mut generator = Mt19937::new(5489);
    let last = (0..10_000).map(|_| generator.next_u32()).last().unwrap();
    assert_eq!(last, 4_123_659_995);
}
