//! The groups of a map, each with a name and a colour.

use std::collections::HashMap;

use matryo_collection::Chunk;
use matryo_mining::{KMeansOptions, MatRef, MiningError, groups, kmeans, most_central};
use serde_json::Value;

/// Colours that the page has.
const COLOURS: usize = 20;

/// Characters of a text that name a cluster.
const NAME: usize = 60;

/// Names of groups, and the group of each text.
pub struct Groups {
    pub names: Vec<String>,
    pub of: Vec<usize>,
}

/// The values of a field, the most frequent first; those that get no colour of their own share the last.
pub fn by_field(chunks: &[Chunk], field: &str) -> Groups {
    let values: Vec<String> = chunks
        .iter()
        .map(|chunk| value(chunk.fields.get(field)))
        .collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    values
        .iter()
        .for_each(|value| *counts.entry(value).or_default() += 1);
    let mut names: Vec<(&str, usize)> = counts.into_iter().collect();
    names.sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
    let mut names: Vec<String> = names.into_iter().map(|(name, _)| name.to_owned()).collect();
    if names.len() > COLOURS {
        names.truncate(COLOURS - 1);
        names.push("(others)".to_owned());
    }
    let last = names.len() - 1;
    let group = |value: &String| names.iter().position(|name| name == value).unwrap_or(last);
    let of = values.iter().map(group).collect();
    Groups { names, of }
}

fn value(value: Option<&Value>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Clusters by k-means, the largest first, named by their most typical text.
pub fn by_cluster(
    chunks: &[Chunk],
    vectors: MatRef<'_>,
    clusters: Option<usize>,
) -> Result<Groups, MiningError> {
    let by_default = ((chunks.len() as f64 / 2.0).sqrt().ceil() as usize).clamp(1, COLOURS);
    let options = KMeansOptions {
        n_clusters: clusters.unwrap_or(by_default),
        ..KMeansOptions::default()
    };
    let members = groups(&kmeans(vectors, &options)?.labels);
    let typical = most_central(vectors, &members, 1)?;
    let mut of = vec![0; chunks.len()];
    for (group, members) in members.iter().enumerate() {
        members.iter().for_each(|&member| of[member] = group);
    }
    let names = typical
        .iter()
        .map(|typical| shortened(&chunks[typical[0]].text, NAME))
        .collect();
    Ok(Groups { names, of })
}

/// The first characters of a text, on one line.
pub fn shortened(text: &str, characters: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chunk(fields: Value) -> Chunk {
        let Value::Object(fields) = fields else {
            panic!("fields are an object")
        };
        Chunk {
            id: "a".to_owned(),
            text: "text".to_owned(),
            fields,
        }
    }

    #[test]
    fn the_most_frequent_value_comes_first() {
        let values = [
            json!({"x": 1}),
            json!({"x": "b"}),
            json!({}),
            json!({"x": "b"}),
            json!({"x": true}),
        ];
        let groups = by_field(&values.map(chunk), "x");
        assert_eq!(groups.names, ["b", "(none)", "1", "true"]);
        assert_eq!(groups.of, [2, 0, 1, 0, 3]);
    }

    #[test]
    fn rare_values_share_a_colour() {
        let chunks: Vec<Chunk> = (0..50).map(|i| chunk(json!({"x": i.max(10)}))).collect();
        let groups = by_field(&chunks, "x");
        assert_eq!(
            (groups.names.len(), groups.names[0].as_str()),
            (COLOURS, "10")
        );
        assert_eq!(groups.names[COLOURS - 1], "(others)");
        assert_eq!(
            groups
                .of
                .iter()
                .filter(|&&group| group == COLOURS - 1)
                .count(),
            50 - 11 - (COLOURS - 2)
        );
    }

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(shortened("  ä ö\n ü ", 9), "ä ö ü");
        assert_eq!(shortened("äöü ß", 4), "äöü…");
    }
}
