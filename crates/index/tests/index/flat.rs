//! The flat index against a search that looks at one row after another, for every storage, instruction set and number of threads.

use std::path::PathBuf;

use crate::common::{clustered, dot, dots, for_any_threads, random, rows, whole_numbers};
use matryo_index::{
    FlatIndex, Hit, Level, Mat, MatRef, Metric, Rescore, Storage, TopK, recall, semantic_search,
};
use matryo_testkit::{Tolerance, assert_value, read_json, read_safetensors};

fn one_by_one(
    queries: usize,
    rows: usize,
    k: usize,
    score: impl Fn(usize, usize) -> f32,
) -> Vec<Vec<Hit>> {
    let mut best = vec![TopK::new(k); queries];
    for (query, best) in best.iter_mut().enumerate() {
        (0..rows).for_each(|row| _ = best.push(score(query, row), row as u32, row as u32));
    }
    best.into_iter().map(TopK::into_sorted).collect()
}

/// More rows than a round has, where runs must agree on thousands of equal scores.
#[test]
fn floats_with_the_ties_of_a_sequential_search() {
    let (queries, corpus) = (whole_numbers(3, 4, 1), whole_numbers(300_000, 4, 2));
    let index = FlatIndex::new(corpus.view(), Storage::Float32, Metric::Dot);
    for k in [1, 10, 300] {
        let found = for_any_threads(|| index.search(queries.view(), k));
        assert_eq!(
            found,
            semantic_search(queries.view(), corpus.view(), k, dots),
            "k {k}"
        );
    }
}

#[test]
fn few_queries_and_many_find_the_same() {
    let (queries, corpus) = (random(40, 37, 1), random(9000, 37, 2));
    let index = FlatIndex::new(corpus.view(), Storage::Float32, Metric::Dot);
    let many = for_any_threads(|| index.search(queries.view(), 10));
    assert_eq!(
        rows(&many),
        rows(&semantic_search(queries.view(), corpus.view(), 10, dots))
    );
    for query in 0..40 {
        let one = index.search(queries.view().row_range(query, query + 1), 10);
        assert_eq!(rows(&one), rows(&many[query..=query]));
        for (one, many) in one[0].iter().zip(&many[query]) {
            assert_value(
                one.score.into(),
                many.score.into(),
                Tolerance::Absolute(1e-5),
                "score",
            );
        }
    }
}

#[test]
fn cosine_divides_by_both_lengths() {
    let (queries, corpus) = (random(5, 19, 1), random(500, 19, 2));
    let found =
        FlatIndex::new(corpus.view(), Storage::Float32, Metric::Cosine).search(queries.view(), 7);
    let length = |x: &[f32]| dot(x, x).sqrt();
    let expected = one_by_one(5, 500, 7, |query, row| {
        let (a, b) = (queries.row(query), corpus.row(row));
        dot(a, b) / (length(a) * length(b))
    });
    assert_eq!(rows(&found), rows(&expected));
    assert_value(
        found[4][6].score.into(),
        expected[4][6].score.into(),
        Tolerance::Absolute(1e-6),
        "cosine",
    );
}

/// Scale and bytes as the documentation of the storage describes them.
fn as_bytes(row: &[f32]) -> (f32, Vec<i32>) {
    let largest = row.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
    (
        largest / 127.0,
        row.iter()
            .map(|x| (x / largest * 127.0).round_ties_even() as i32)
            .collect(),
    )
}

#[test]
fn int8_is_exact_at_every_level() {
    let (queries, corpus) = (random(20, 67, 1), random(5000, 67, 2));
    let bytes = |m: &Mat| {
        (0..m.rows())
            .map(|row| as_bytes(m.row(row)))
            .collect::<Vec<_>>()
    };
    let (a, b) = (bytes(&queries), bytes(&corpus));
    let expected = one_by_one(20, 5000, 15, |query, row| {
        let total: i32 = a[query].1.iter().zip(&b[row].1).map(|(a, b)| a * b).sum();
        total as f32 * (b[row].0 * a[query].0)
    });
    for level in Level::available() {
        let index = FlatIndex::new(corpus.view(), Storage::Int8, Metric::Dot).with_level(level);
        assert_eq!(
            for_any_threads(|| index.search(queries.view(), 15)),
            expected,
            "{}",
            level.name()
        );
    }
}

#[test]
fn bits_are_exact_at_every_level() {
    let (queries, corpus) = (random(20, 67, 1), random(5000, 67, 2));
    let expected = one_by_one(20, 5000, 15, |query, row| {
        let differ = queries
            .row(query)
            .iter()
            .zip(corpus.row(row))
            .filter(|(a, b)| (**a > 0.0) != (**b > 0.0));
        -(differ.count() as f32)
    });
    for level in Level::available() {
        let index =
            FlatIndex::new(corpus.view(), Storage::Ubinary, Metric::Cosine).with_level(level);
        assert_eq!(
            for_any_threads(|| index.search(queries.view(), 15)),
            expected,
            "{}",
            level.name()
        );
    }
}

#[test]
fn a_prefix_of_rows_that_lie_apart() {
    let (queries, corpus) = (random(2, 48, 1), random(600, 48, 2));
    for storage in Storage::ALL {
        let prefix = corpus.view().first_cols(21);
        let copy = prefix.to_mat();
        let search = |rows: MatRef<'_>| {
            FlatIndex::new(rows, storage, Metric::Dot).search(queries.view().first_cols(21), 9)
        };
        assert_eq!(search(prefix), search(copy.view()), "{storage}");
        let copied = FlatIndex::copied(prefix, storage, Metric::Dot);
        assert_eq!(
            copied.search(queries.view().first_cols(21), 9),
            search(prefix),
            "{storage}"
        );
    }
}

#[test]
fn edges() {
    let (queries, corpus) = (random(3, 9, 1), random(5, 9, 2));
    for storage in Storage::ALL {
        for metric in [Metric::Cosine, Metric::Dot] {
            let index =
                |rows: usize| FlatIndex::copied(corpus.view().row_range(0, rows), storage, metric);
            let counts = |rows, k| {
                index(rows)
                    .search(queries.view(), k)
                    .iter()
                    .map(Vec::len)
                    .collect::<Vec<_>>()
            };
            assert_eq!(counts(5, 0), [0; 3], "k = 0");
            assert_eq!(counts(5, 99), [5; 3], "k > rows");
            assert_eq!(counts(0, 4), [0; 3], "no rows");
            assert_eq!(counts(1, 4), [1; 3], "one row");
            assert_eq!(
                index(5).search(queries.view().row_range(0, 0), 4),
                Vec::<Vec<Hit>>::new(),
                "no queries"
            );
            let rescore = Rescore {
                multiplier: usize::MAX,
                vectors: None,
            };
            assert_eq!(
                index(5).search_rescored(queries.view(), 2, rescore)[2].len(),
                2,
                "a large multiplier"
            );
            assert!(index(0).is_empty() && index(5).len() == 5 && index(5).dim() == 9);
        }
    }
}

#[test]
fn nan_comes_last() {
    let (queries, mut corpus) = (random(2, 9, 1), random(40, 9, 2));
    corpus.row_mut(7)[3] = f32::NAN;
    corpus.row_mut(8)[0] = f32::INFINITY;
    corpus.row_mut(9).fill(0.0);
    for storage in [Storage::Float32, Storage::Int8] {
        let index = FlatIndex::copied(corpus.view(), storage, Metric::Cosine);
        let found = for_any_threads(|| rows(&index.search(queries.view(), 40)));
        for rows in found {
            let mut last = rows[38..].to_vec();
            last.sort();
            assert_eq!(last, [7, 8], "{storage}");
        }
        assert!(
            rows(&index.search(queries.view(), 38))
                .iter()
                .flatten()
                .all(|row| ![7, 8].contains(row))
        );
    }
}

#[test]
fn a_query_of_nan_finds_as_a_sequential_search_does() {
    let (query, corpus) = (Mat::from_vec(1, 2, vec![f32::NAN; 2]), random(20_000, 2, 2));
    let found = for_any_threads(|| {
        rows(&FlatIndex::new(corpus.view(), Storage::Float32, Metric::Dot).search(query.view(), 5))
    });
    assert_eq!(found, rows(&one_by_one(1, 20_000, 5, |_, _| f32::NAN)));
}

/// A byte a value finds nearly all, twice as many candidates all; a bit a value needs more of them.
#[test]
fn rescored_candidates_are_those_of_an_exact_search() {
    let (queries, corpus) = (clustered(50, 128, 1), clustered(4000, 128, 2));
    let exact =
        FlatIndex::new(corpus.view(), Storage::Float32, Metric::Cosine).search(queries.view(), 10);
    let index = |storage| FlatIndex::new(corpus.view(), storage, Metric::Cosine);
    let rescored = |storage, multiplier| {
        let rescore = Rescore {
            multiplier,
            vectors: Some(corpus.view()),
        };
        for_any_threads(|| index(storage).search_rescored(queries.view(), 10, rescore))
    };
    let plain = recall(&index(Storage::Int8).search(queries.view(), 10), &exact);
    assert!(plain > 0.95, "{plain}");
    assert_eq!(recall(&rescored(Storage::Int8, 2), &exact), 1.0);
    let [plain, few, many] = [
        index(Storage::Ubinary).search(queries.view(), 10),
        rescored(Storage::Ubinary, 4),
        rescored(Storage::Ubinary, 20),
    ]
    .map(|found| recall(&found, &exact));
    assert!(
        plain < few && few < many && many > 0.95,
        "{plain} {few} {many}"
    );
    for (found, exact) in rescored(Storage::Int8, 2)
        .iter()
        .flatten()
        .zip(exact.iter().flatten())
    {
        assert_value(
            found.score.into(),
            exact.score.into(),
            Tolerance::Absolute(1e-6),
            "an exact score",
        );
    }
}

#[test]
fn what_is_stored_scores_better_than_what_both_sides_round() {
    let (queries, corpus) = (clustered(50, 128, 1), clustered(4000, 128, 2));
    let exact =
        FlatIndex::new(corpus.view(), Storage::Float32, Metric::Cosine).search(queries.view(), 10);
    let index = FlatIndex::new(corpus.view(), Storage::Ubinary, Metric::Cosine);
    let rescored = index.search_rescored(
        queries.view(),
        10,
        Rescore {
            multiplier: 8,
            vectors: None,
        },
    );
    let plain = index.search(queries.view(), 10);
    assert!(recall(&rescored, &exact) > recall(&plain, &exact));
}

/// Upstream's search in packed bits, rescored with the bits that it stores.
#[test]
fn bits_equal_upstream() {
    let golden = |file: &str| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(file)
    };
    let tensors = read_safetensors(golden("ubinary.safetensors"));
    let matrix = |name: &str| {
        let (rows, cols) = tensors[name].rows_cols();
        Mat::from_vec(rows, cols, tensors[name].data.clone())
    };
    let (queries, corpus) = (matrix("queries"), matrix("corpus"));
    let index = FlatIndex::new(corpus.view(), Storage::Ubinary, Metric::Dot);
    for case in read_json(golden("ubinary.json")).as_array().unwrap() {
        let number = |key: &str| case[key].as_u64().map(|n| n as usize);
        let (query, k) = (number("query").unwrap(), number("k").unwrap());
        let query = queries.view().row_range(query, query + 1);
        let found = match number("rescore_multiplier") {
            Some(multiplier) => index.search_rescored(
                query,
                k,
                Rescore {
                    multiplier,
                    vectors: None,
                },
            ),
            None => index.search(query, k),
        };
        let expected = case["hits"].as_array().unwrap();
        assert_eq!(found[0].len(), expected.len(), "{case}");
        for (hit, expected) in found[0].iter().zip(expected) {
            let (row, score) = (
                expected[0].as_u64().unwrap() as usize,
                expected[1].as_f64().unwrap(),
            );
            if number("rescore_multiplier").is_some() {
                assert_eq!(hit.row, row, "{case}");
                assert_value(
                    hit.score.into(),
                    score,
                    Tolerance::Absolute(1e-5),
                    "product with bits",
                );
            } else {
                // Upstream reports distances; the order of equal ones is open there.
                assert_eq!(f64::from(hit.score), -score, "{case}");
            }
        }
    }
}
