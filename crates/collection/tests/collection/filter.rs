//! Filters, and what is none.

use matryo_collection::Filter;
use serde_json::{Value, json};

fn json_of(text: &str) -> Value {
    text.parse::<Filter>()
        .unwrap_or_else(|e| panic!("{e}"))
        .to_json()
}

fn refused(text: &str) -> String {
    text.parse::<Filter>().unwrap_err().to_string()
}

#[test]
fn comparisons() {
    let year = |bound: &str| json!({ "must": [{ "key": "year", "range": { bound: 2020 } }] });
    for (sign, bound) in [("<", "lt"), ("<=", "lte"), (">", "gt"), (">=", "gte")] {
        assert_eq!(json_of(&format!("year {sign} 2020")), year(bound));
    }
    assert_eq!(
        json_of("region = 'EU'"),
        json!({ "must": [{ "key": "region", "match": { "value": "EU" } }] })
    );
    assert_eq!(
        json_of("ok == true"),
        json!({ "must": [{ "key": "ok", "match": { "value": true } }] })
    );
    assert_eq!(
        json_of("n != -3"),
        json!({ "must_not": [{ "key": "n", "match": { "value": -3 } }] })
    );
    assert_eq!(
        json_of("x = 0.5"),
        json!({ "must": [{ "key": "x", "range": { "gte": 0.5, "lte": 0.5 } }] })
    );
    assert_eq!(
        json_of("day >= \"2024-12-31\""),
        json!({ "must": [{ "key": "day", "range": { "gte": "2024-12-31" } }] })
    );
    assert_eq!(
        json_of("a.b in [1, 2]"),
        json!({ "must": [{ "key": "a.b", "match": { "any": [1, 2] } }] })
    );
    assert_eq!(
        json_of("t contains \"x y\""),
        json!({ "must": [{ "key": "t", "match": { "text": "x y" } }] })
    );
    assert_eq!(
        json_of("t exists"),
        json!({ "must_not": [{ "is_empty": { "key": "t" } }] })
    );
    assert_eq!(
        json_of("`and` = 1"),
        json!({ "must": [{ "key": "and", "match": { "value": 1 } }] })
    );
}

#[test]
fn and_binds_closer_than_or_and_parentheses_closest() {
    let [a, b, c] = ["a", "b", "c"].map(|key| json!({ "key": key, "match": { "value": 1 } }));
    assert_eq!(
        json_of("a=1 or b=1 and c=1"),
        json!({ "should": [a, { "must": [b, c] }] })
    );
    assert_eq!(
        json_of("(a=1 or b=1) and c=1"),
        json!({ "must": [{ "should": [a, b] }, c] })
    );
    assert_eq!(
        json_of("not a=1 and b=1"),
        json!({ "must": [{ "must_not": [a] }, b] })
    );
}

#[test]
fn the_fields_are_known() {
    let filter: Filter = "year >= 2020 and (region = \"EU\" or year = 1999) and not tag in [\"a\"]"
        .parse()
        .unwrap();
    assert_eq!(
        filter.fields().collect::<Vec<_>>(),
        ["region", "tag", "year"]
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    assert_eq!(
        refused("year >"),
        "not a filter: expected a number, true, false or a text in quotes, found the end at character 7 of `year >`"
    );
    for (text, expected) in [
        ("", "a field"),
        ("year", "a comparison"),
        ("year > 'x'", "a number or a date"),
        ("year = 2020 2", "`and`, `or` or the end"),
        ("(year = 1", "`)`"),
        ("t = \"open", "a quote at the end"),
        ("t in []", "a number"),
        ("t in [1, \"a\"]", "a list of texts only"),
        ("t in [1.5]", "whole number"),
        ("é ; 1", "a field, a value or a comparison"),
        ("t not 3", "`in`, `contains` or `exists`"),
        ("x = 1-2", "a number"),
    ] {
        assert!(
            refused(text).contains(expected),
            "{text}: {}",
            refused(text)
        );
    }
    assert!(refused(&"(".repeat(100_000)).contains("fewer parentheses"));
}
