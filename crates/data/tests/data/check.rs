//! What is found in a data set.

use crate::folder::Folder;
use matryo_data::{
    Columns, Dataset, Finding, LengthStatistics, Place, RetrievalData, TokenCount, check,
    column_tokens,
};

const ROWS: &str = "anchor,positive\nWhat fell?,Costs fell\nWhat fell?,Costs fell\n\" \",é\nsame,same\nWhat fell?,Costs fell\n,\n";

fn train() -> Dataset {
    let folder = Folder::new();
    Dataset::open(&folder.write("a.csv", ROWS), &Columns::All).unwrap()
}

fn lines(numbers: &[u64]) -> Vec<Place> {
    numbers.iter().map(|&number| Place::Line(number)).collect()
}

#[test]
fn everything_odd_is_found_with_its_lines() {
    let text = |id: &str, text: &str| (id.to_owned(), text.to_owned());
    let evaluation = RetrievalData {
        queries: vec![text("q0", "What fell?"), text("q1", "What rose?")],
        corpus: vec![
            text("d0", "Profits rose"),
            text("d1", "é"),
            text("d2", "Costs fell"),
        ],
        ..RetrievalData::default()
    };
    let found = check(&train(), Some(&evaluation), 32);
    let expected = [
        Finding::FewerRowsThanBatch {
            rows: 6,
            batch_size: 32,
        },
        Finding::DuplicateRows {
            count: 2,
            first: lines(&[3, 6]),
        },
        Finding::BlankTexts {
            column: "anchor".into(),
            count: 2,
            first: lines(&[4, 7]),
        },
        Finding::BlankTexts {
            column: "positive".into(),
            count: 1,
            first: lines(&[7]),
        },
        Finding::SameTextInRow {
            count: 2,
            first: lines(&[5, 7]),
        },
        Finding::QuestionsInTraining {
            count: 1,
            of: 2,
            examples: vec!["What fell?".into()],
        },
        Finding::PassagesInTraining {
            count: 2,
            of: 3,
            examples: vec!["é".into(), "Costs fell".into()],
        },
    ];
    assert_eq!(found.warnings, expected);
    let said: Vec<String> = found.warnings.iter().map(Finding::to_string).collect();
    assert_eq!(
        said,
        [
            "6 rows are fewer than a batch of 32",
            "2 rows repeat an earlier row: line 3, line 6",
            "2 texts are blank in column `anchor`: line 4, line 7",
            "1 text is blank in column `positive`: line 7",
            "2 rows have the same text in two columns: line 5, line 7",
            "1 of 2 evaluation questions are also trained on, such as \"What fell?\"",
            "2 of 3 evaluation passages are also trained on, such as \"é\"",
        ]
    );
}

#[test]
fn lengths_are_in_characters() {
    let found = check(&train(), None, 2);
    assert_eq!((found.rows, found.columns[1].distinct), (6, 4));
    assert_eq!(found.columns[1].column, "positive");
    assert_eq!(
        found.columns[1].characters,
        LengthStatistics {
            min: 0,
            mean: 35.0 / 6.0,
            max: 10
        }
    );
}

#[test]
fn nothing_odd_is_nothing_said_and_long_lists_are_cut() {
    let column = |text: &str, n: usize| {
        (0..n)
            .map(|row| format!("{text} {row}"))
            .collect::<Vec<_>>()
    };
    let names = || vec!["a".to_owned(), "b".to_owned()];
    let clean = Dataset::from_columns(names(), vec![column("a", 40), column("b", 40)]);
    assert!(check(&clean, None, 32).warnings.is_empty());
    let blank = Dataset::from_columns(names(), vec![vec![String::new(); 40], column("b", 40)]);
    let said = check(&blank, None, 32).warnings[0].to_string();
    assert_eq!(
        said,
        "40 texts are blank in column `a`: row 1, row 2, row 3, row 4, row 5, ..."
    );
}

#[test]
fn tokens_are_counted_on_the_first_rows() {
    let words = |_: &str, texts: &[&str]| -> Result<Vec<TokenCount>, ()> {
        let count = |text: &&str| {
            let tokens = text.split_whitespace().count() + 2;
            TokenCount {
                tokens: tokens.min(3),
                truncated: tokens > 3,
            }
        };
        Ok(texts.iter().map(count).collect())
    };
    let columns = column_tokens(&train(), 4, words).unwrap();
    assert_eq!(
        (
            columns[0].column.as_str(),
            columns[0].texts,
            columns[0].truncated
        ),
        ("anchor", 4, 2)
    );
    assert_eq!(
        columns[0].tokens,
        LengthStatistics {
            min: 2,
            mean: 2.75,
            max: 3
        }
    );
    assert_eq!(column_tokens(&train(), 100, words).unwrap()[1].texts, 6);
    assert_eq!(
        column_tokens(&train(), 1, |_, _| Err("no tokenizer")).unwrap_err(),
        "no tokenizer"
    );
}
