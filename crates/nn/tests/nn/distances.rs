//! Buckets of distances against those of transformers.

use matryo_nn::DisentangledSpec;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<i64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn spec(buckets: Option<usize>, max_distance: usize) -> DisentangledSpec {
    DisentangledSpec {
        buckets,
        max_distance,
        for_queries: true,
        for_keys: true,
        shared: true,
        norm: None,
    }
}

/// Every distance of the golden, with both signs; rows beyond the table are its ends.
#[test]
fn buckets_are_those_of_transformers() {
    let golden: Value = serde_json::from_str(include_str!("../golden/distances.json")).unwrap();
    let longest = golden["longest"].as_i64().unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let [buckets, max_distance] = ["position_buckets", "max_relative_positions"]
            .map(|key| case[key].as_u64().unwrap() as usize);
        let (starts, values) = (numbers(&case["distances"]), numbers(&case["buckets"]));
        let spec = spec(Some(buckets), max_distance);
        let span = buckets as i64;
        for distance in -longest..=longest {
            let change = starts.partition_point(|start| *start <= distance.abs()) - 1;
            let bucket = distance.signum() * values[change];
            let expected = (bucket + span).clamp(0, 2 * span - 1);
            let found = spec.row(distance) as i64;
            assert_eq!(found, expected, "{buckets} {max_distance}: {distance}");
        }
    }
}

#[test]
fn without_buckets_far_distances_share_the_ends_of_the_table() {
    let spec = spec(None, 20);
    let rows = [-1000, -21, -20, -19, 0, 7, 19, 20, 1000].map(|distance| spec.row(distance));
    assert_eq!(rows, [0, 0, 0, 1, 20, 27, 39, 39, 39]);
}
