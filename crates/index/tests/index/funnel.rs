//! Funnels: what each stage sees, what they find, what they are asked.

use crate::common::{clustered, for_any_threads, random, rows};
use matryo_index::{FlatIndex, Funnel, IndexError, Mat, Metric, Stages, Storage, recall};

fn stages(text: &str) -> Stages {
    text.parse().unwrap()
}

#[test]
fn one_stage_is_a_search_in_prefixes() {
    let (queries, corpus) = (random(6, 40, 1), random(700, 40, 2));
    for storage in Storage::ALL {
        for metric in [Metric::Cosine, Metric::Dot] {
            let funnel = Funnel::new(corpus.view(), stages("24:8"), storage, metric).unwrap();
            let prefixes = corpus.view().first_cols(24).to_mat();
            let index = FlatIndex::new(prefixes.view(), storage, metric);
            assert_eq!(
                funnel.search(queries.view()),
                index.search(queries.view().first_cols(24), 8),
                "{storage}"
            );
            assert_eq!(funnel.bytes(), index.bytes());
        }
    }
}

/// A stage that keeps everything drops nothing, so the last one finds what an exact search does.
#[test]
fn the_last_stage_is_exact() {
    let (queries, corpus) = (random(6, 40, 1), random(300, 40, 2));
    for metric in [Metric::Cosine, Metric::Dot] {
        let exact =
            FlatIndex::new(corpus.view(), Storage::Float32, metric).search(queries.view(), 9);
        for storage in Storage::ALL {
            let funnel =
                Funnel::new(corpus.view(), stages("8:300,20:299,40:9"), storage, metric).unwrap();
            let found = for_any_threads(|| funnel.search(queries.view()));
            assert_eq!(recall(&found, &exact), 1.0, "{storage} {metric:?}");
            assert_eq!(rows(&found), rows(&exact), "{storage} {metric:?}");
        }
    }
}

#[test]
fn prefixes_are_scaled_for_themselves() {
    let (queries, corpus) = (clustered(4, 32, 1), clustered(500, 32, 2));
    let mut longer = corpus.clone();
    for row in 0..500 {
        longer
            .row_mut(row)
            .iter_mut()
            .for_each(|x| *x *= (1 + row % 7) as f32);
    }
    for storage in Storage::ALL {
        let found = |rows: &Mat| {
            Funnel::new(
                rows.view(),
                stages("8:100,16:40,32:10"),
                storage,
                Metric::Cosine,
            )
            .unwrap()
            .search(queries.view())
        };
        assert_eq!(rows(&found(&longer)), rows(&found(&corpus)), "{storage}");
    }
}

#[test]
fn few_values_find_nearly_all_where_the_first_say_most() {
    let (queries, corpus) = (clustered(60, 128, 1), clustered(6000, 128, 2));
    let exact =
        FlatIndex::new(corpus.view(), Storage::Float32, Metric::Cosine).search(queries.view(), 10);
    let funnel = |text, storage| {
        let funnel = Funnel::new(corpus.view(), stages(text), storage, Metric::Cosine).unwrap();
        for_any_threads(|| recall(&funnel.search(queries.view()), &exact))
    };
    for storage in [Storage::Float32, Storage::Int8] {
        let (few, many) = (
            funnel("8:15,128:10", storage),
            funnel("32:200,64:50,128:10", storage),
        );
        assert!(few < many && many > 0.98, "{storage}: {few} {many}");
    }
    assert!(funnel("128:200,128:10", Storage::Ubinary) > 0.95);
}

#[test]
fn edges() {
    let (queries, corpus) = (random(3, 16, 1), random(4, 16, 2));
    let search = |rows: usize, queries_count: usize| {
        let rows = corpus.view().row_range(0, rows);
        let funnel = Funnel::new(
            rows,
            stages("4:200,16:10"),
            Storage::Float32,
            Metric::Cosine,
        )
        .unwrap();
        funnel
            .search(queries.view().row_range(0, queries_count))
            .iter()
            .map(Vec::len)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (search(4, 3), search(1, 3), search(0, 3)),
        (vec![4; 3], vec![1; 3], vec![0; 3])
    );
    assert_eq!(search(4, 0), Vec::<usize>::new());
}

#[test]
fn nan_is_dropped_first() {
    let (queries, mut corpus) = (random(3, 16, 1), random(60, 16, 2));
    corpus.row_mut(5)[15] = f32::NAN;
    corpus.row_mut(6)[0] = f32::NAN;
    let funnel = Funnel::new(
        corpus.view(),
        stages("4:60,16:58"),
        Storage::Float32,
        Metric::Cosine,
    )
    .unwrap();
    assert!(
        rows(&funnel.search(queries.view()))
            .iter()
            .flatten()
            .all(|row| ![5, 6].contains(row))
    );
}

#[test]
fn stages_must_fit_the_vectors() {
    let corpus = random(4, 16, 2);
    let error = Funnel::new(
        corpus.view(),
        stages("4:9,32:5"),
        Storage::Float32,
        Metric::Dot,
    )
    .unwrap_err();
    assert_eq!(
        error,
        IndexError::StageTooWide {
            number: 2,
            dim: 32,
            width: 16
        }
    );
}
