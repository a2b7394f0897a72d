//! Cell by cell against the cards that sentence-transformers 5.7.0 and 3.0.1 wrote.

use matryo_train::card::{DatasetCard, render};
use matryo_train::config::Compat;
use serde_json::Value;

use super::{
    document::{front_matter, headings, section, table},
    fixture::{Table, card, golden},
};

const RUNS: [(&str, Compat); 3] = [
    ("seedU_st57", Compat::Current),
    ("seedU_st30", Compat::V3_0),
    ("tiny_long_st57", Compat::Current),
];

fn rendered(run: &str, compat: Compat) -> (Value, String) {
    let golden = golden(run);
    let text = render(&card(&golden, compat)).expect("a card");
    (golden, text)
}

fn strings(value: &Value) -> Vec<Vec<String>> {
    serde_json::from_value(value.clone()).expect("rows of cells")
}

#[test]
fn front_matter_equals_upstream() {
    for (run, compat) in RUNS {
        let (golden, text) = rendered(run, compat);
        let ours = front_matter(&text);
        for key in [
            "language",
            "license",
            "pipeline_tag",
            "library_name",
            "metrics",
            "tags",
        ] {
            assert_eq!(ours[key], golden[key], "{run}: {key}");
        }
        let (ours, theirs) = (
            &ours["model-index"][0]["results"],
            &golden["model_index"][0]["results"],
        );
        assert_eq!(ours, theirs, "{run}: every metric at full precision");
        assert!(theirs.as_array().is_some_and(|results| results.len() >= 3));
    }
}

#[test]
fn metric_tables_equal_upstream() {
    for (run, compat) in RUNS {
        let (golden, text) = rendered(run, compat);
        let evaluation = &text[text.find("## Evaluation").expect("evaluation")..];
        let ours: Vec<_> = evaluation
            .split("#### Information Retrieval")
            .skip(1)
            .map(|part| table(part.split("\n## ").next().unwrap_or_default()))
            .collect();
        let theirs: Vec<_> = golden["metric_tables"]
            .as_array()
            .expect("tables")
            .iter()
            .map(strings)
            .collect();
        assert_eq!(ours, theirs, "{run}");
    }
}

#[test]
fn training_log_equals_upstream() {
    for (run, compat) in RUNS {
        let (golden, text) = rendered(run, compat);
        let ours = table(section(&text, "### Training Logs"));
        let theirs = strings(&golden["log_table"]);
        assert_eq!(ours[0], theirs[0], "{run}: columns");
        // Upstream numbers evaluations outside of training -1 or None; ours of the base model is step 0.
        assert_eq!((ours[1][0].as_str(), ours[1][1].as_str()), ("0", "0"));
        assert_eq!(ours[1][2..], theirs[1][2..], "{run}: base model");
        let inside: Vec<_> = theirs[2..]
            .iter()
            .filter(|row| row[0] != "-1")
            .cloned()
            .collect();
        assert_eq!(ours[2..], inside, "{run}");
    }
}

#[test]
fn architecture_and_loss_equal_upstream() {
    for (run, compat) in &RUNS[..2] {
        let (golden, text) = rendered(run, *compat);
        let block = section(&text, "### Full Model Architecture")
            .trim()
            .trim_matches('`')
            .trim();
        let theirs: Vec<String> =
            serde_json::from_value(golden["architecture"].clone()).expect("lines");
        let ours: Vec<&str> = block.lines().collect();
        // 3.0 ends the transformer's line in a blank.
        assert_eq!(
            ours,
            theirs
                .iter()
                .map(|line| line.trim_end())
                .collect::<Vec<_>>(),
            "{run}"
        );
        let json = text
            .split("#matryoshkaloss) with these parameters:\n  ```json\n")
            .nth(1)
            .expect("a loss");
        let config: Value =
            serde_json::from_str(json.split("```").next().expect("a fence")).expect("JSON");
        assert_eq!(config, golden["loss_config"], "{run}");
    }
}

#[test]
fn hyperparameters_print_as_upstream() {
    let (golden, text) = rendered("seedU_st57", Compat::Current);
    let theirs: Vec<String> = strings(&golden["non_default"])
        .iter()
        .map(|pair| format!("- `{}`: {}", pair[0], pair[1]))
        .collect();
    let ours: Vec<&str> = section(&text, "#### Non-Default Hyperparameters")
        .lines()
        .filter(|line| line.starts_with("- "))
        .collect();
    assert_eq!(ours, theirs);
    let all = section(&text, "#### All Hyperparameters");
    for line in [
        "- `adam_epsilon`: 1e-08",
        "- `max_grad_norm`: 1.0",
        "- `data_seed`: None",
    ] {
        assert!(
            all.contains(&format!("{line}\n")),
            "{line} is missing from {all}"
        );
    }
    assert!(!all.contains("output_dir"), "a path is no hyper-parameter");
}

/// Token counts of all rows come from the tokenizer of the library; the expected cells from its card.
#[test]
fn data_tables_equal_upstream() {
    for (run, compat, rows) in [
        ("seedU_st57", Compat::Current, 104),
        ("seedU_st30", Compat::V3_0, 196),
    ] {
        let (golden, data) = (golden(run), golden("rows"));
        let counts: Vec<Vec<usize>> =
            serde_json::from_value(data["tokens"].clone()).expect("counts");
        let columns = ["positive", "anchor"];
        let mut texts = strings(&data["rows"]);
        let named = |row: &Vec<usize>| row.iter().map(ToString::to_string).collect();
        texts.extend(counts[texts.len()..].iter().map(named));
        let data = Table {
            columns: columns.map(String::from).to_vec(),
            rows: texts.clone(),
        };
        let known = |_: &str, text: &str| {
            let place = texts[..3]
                .iter()
                .enumerate()
                .find_map(|(r, row)| Some((r, row.iter().position(|t| t == text)?)));
            place.map_or_else(
                || text.parse().expect("a count"),
                |(row, column)| counts[row][column],
            )
        };
        let mut card = card(&golden, compat);
        let training = card.training.as_mut().expect("training");
        training.dataset = DatasetCard::describe(&data, None, "0".repeat(64), compat, &known);
        let text = render(&card).expect("a card");
        let body = section(&text, "#### Unnamed Dataset");
        assert!(
            body.contains("* Size: 196 training samples\n* Columns: <code>positive</code> and <code>anchor</code>\n")
        );
        assert!(
            body.contains(&format!("based on the first {rows} samples:\n")),
            "{body}"
        );
        let (statistics, samples) = body.split_once("* Samples:").expect("samples");
        assert_eq!(
            table(statistics),
            strings(&golden["statistics"]),
            "{run}: statistics"
        );
        if compat == Compat::Current {
            assert_eq!(
                table(samples),
                strings(&golden["samples"]),
                "{run}: samples"
            );
        }
    }
}

#[test]
fn sections_stand_in_upstreams_order() {
    let (_, text) = rendered("seedU_st57", Compat::Current);
    let expected = [
        "# MiniLM Financial Matryoshka",
        "## Model Details",
        "### Model Description",
        "### Model Sources",
        "### Full Model Architecture",
        "## Usage",
        "### Direct Usage (Sentence Transformers)",
        "### Direct Usage (matryo)",
        "## Evaluation",
        "### Metrics",
        "#### Information Retrieval",
        "#### Information Retrieval",
        "#### Information Retrieval",
        "#### Information Retrieval",
        "#### Information Retrieval",
        "## Bias, Risks and Limitations",
        "## Training Details",
        "### Training Dataset",
        "#### Unnamed Dataset",
        "### Evaluation Dataset",
        "#### held out",
        "### Training Hyperparameters",
        "#### Non-Default Hyperparameters",
        "#### All Hyperparameters",
        "### Training Logs",
        "### Training Hardware",
        "### Training Time",
        "### Framework Versions",
        "### Reproducibility",
        "## Citation",
        "### BibTeX",
        "#### Sentence Transformers",
        "#### MatryoshkaLoss",
    ];
    assert_eq!(headings(&text), expected);
}

#[test]
fn wording_follows_the_version() {
    let (_, current) = rendered("seedU_st57", Compat::Current);
    let (_, old) = rendered("seedU_st30", Compat::V3_0);
    assert!(current.contains("- **Output Dimensionality:** 384 dimensions\n"));
    assert!(old.contains("- **Output Dimensionality:** 384 tokens\n"));
    assert!(
        current.contains("model.encode_query(queries)") && old.contains("model.encode(sentences)")
    );
    assert!(current.contains("\"truncate_dim\": 384") && !old.contains("\"truncate_dim\""));
}

#[test]
fn doubts_are_told() {
    let (_, text) = rendered("seedU_st57", Compat::Current);
    let doubts = section(&text, "## Bias, Risks and Limitations");
    // 100 / 49 = 2.0408
    assert!(
        doubts.contains("49 queries") && doubts.contains("1/49, or 2.04 points"),
        "{doubts}"
    );
    assert!(
        doubts.contains("`eval_dim_128_cosine_ndcg@10` was the highest (0.7495)"),
        "{doubts}"
    );
}
