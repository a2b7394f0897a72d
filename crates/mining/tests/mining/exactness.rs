//! Against plain loops over all pairs, for any number of threads and any blocks.

use crate::common::{clouds, unit, with_threads};
use matryo_base::Progress;
use matryo_mining::{
    CommunityOptions, Cut, KMeansOptions, Linkage, Mat, MatRef, ParaphraseOptions, agglomerative,
    community_detection, cosines, duplicates, groups, kmeans, most_central, paraphrase_mining,
};

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum()
}

/// Connected components by the plainest algorithm there is: the least label spreads along the edges.
fn components(rows: MatRef<'_>, threshold: f64) -> Vec<Vec<usize>> {
    let n = rows.rows();
    let near: Vec<Vec<usize>> = (0..n)
        .map(|i| {
            (0..n)
                .filter(|&j| dot(rows.row(i), rows.row(j)) >= threshold)
                .collect()
        })
        .collect();
    let mut labels: Vec<usize> = (0..n).collect();
    loop {
        let least = |i: usize| {
            near[i]
                .iter()
                .map(|&j| labels[j])
                .min()
                .unwrap_or(labels[i])
        };
        let next: Vec<usize> = (0..n).map(least).collect();
        if next == labels {
            break;
        }
        labels = next;
    }
    groups(&labels)
        .into_iter()
        .filter(|members| members.len() > 1)
        .collect()
}

/// More rows than a block has, most of them in small groups.
#[test]
fn duplicates_are_the_connected_components() {
    let rows = unit(clouds(2500, 12, 1100, 0.09, 3).view());
    for threshold in [0.97, 0.99, 0.9999] {
        let found = duplicates(rows.view(), threshold, Progress::none()).unwrap();
        let expected = components(rows.view(), threshold.into());
        assert!(
            threshold > 0.999 || expected.len() > 50,
            "{} groups",
            expected.len()
        );
        assert_eq!(
            found
                .iter()
                .map(|group| group.members.clone())
                .collect::<Vec<_>>(),
            expected,
            "{threshold}"
        );
    }
}

#[test]
fn the_representative_is_nearest_to_all_others() {
    let rows = unit(clouds(300, 12, 40, 0.2, 5).view());
    let found = duplicates(rows.view(), 0.9, Progress::none()).unwrap();
    assert!(found.len() > 10);
    for group in found {
        let mean = |&row: &usize| {
            group
                .members
                .iter()
                .map(|&other| dot(rows.row(row), rows.row(other)))
                .sum::<f64>()
        };
        let best = mean(&group.representative);
        assert!(
            group.members.iter().all(|row| mean(row) <= best + 1e-9),
            "{group:?}"
        );
    }
}

#[test]
fn equal_rows_are_represented_by_the_first() {
    let rows = Mat::from_vec(5, 2, vec![0.0, 2.0, 3.0, 0.0, 0.0, 1.0, 0.0, 5.0, 0.0, 0.0]);
    let found = duplicates(rows.view(), 1.0, Progress::none()).unwrap();
    assert_eq!(
        (found.len(), found[0].representative, &found[0].members[..]),
        (1, 0, &[0, 2, 3][..])
    );
}

/// With `top_k` and `max_pairs` beyond what there is, every pair comes back, best first.
#[test]
fn all_pairs_are_mined() {
    let rows = clouds(70, 8, 7, 0.5, 9);
    let options = ParaphraseOptions {
        top_k: 1000,
        query_chunk_size: 13,
        corpus_chunk_size: 29,
        ..Default::default()
    };
    let found = paraphrase_mining(rows.view(), &options, cosines).unwrap();
    assert_eq!(found.len(), 70 * 69 / 2);
    assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
    assert!(found.iter().all(|pair| pair.first < pair.second));
    let unit = unit(rows.view());
    assert!(
        found.iter().all(
            |p| (dot(unit.row(p.first), unit.row(p.second)) - f64::from(p.score)).abs() < 1e-6
        )
    );
}

#[test]
fn threads_change_no_bit() {
    let rows = clouds(1500, 24, 30, 0.3, 11);
    let kmeans_options = KMeansOptions {
        n_clusters: 40,
        n_init: 2,
        ..KMeansOptions::default()
    };
    let communities = CommunityOptions {
        threshold: 0.8,
        min_community_size: 5,
        progress: Progress::none(),
    };
    let all = || {
        let view = rows.view();
        let pairs = paraphrase_mining(
            view,
            &ParaphraseOptions {
                top_k: 5,
                ..Default::default()
            },
            cosines,
        )
        .unwrap();
        let found = community_detection(view, &communities).unwrap();
        let clusters = agglomerative(view, Linkage::Average, Cut::DistanceThreshold(0.3)).unwrap();
        (
            pairs,
            found,
            duplicates(view, 0.95, Progress::none()).unwrap(),
            kmeans(view, &kmeans_options).unwrap(),
            clusters,
        )
    };
    let (one, three) = (with_threads(1, all), with_threads(3, all));
    assert!(one.0.len() > 1000 && one.1.len() > 5 && one.2.len() > 5);
    assert!(one == three, "one thread and three agree");
}

/// Well separated clouds are found, from any seed, and a restart never makes it worse.
#[test]
fn kmeans_finds_clouds() {
    let rows = clouds(600, 16, 6, 0.15, 13);
    let run = |seed, n_init| {
        let options = KMeansOptions {
            n_clusters: 6,
            seed,
            n_init,
            ..KMeansOptions::default()
        };
        kmeans(rows.view(), &options).unwrap()
    };
    for seed in 0..5 {
        let found = run(seed, 4);
        assert!(
            (0..600).all(|row| found.labels[row] == found.labels[row % 6]),
            "seed {seed}"
        );
        assert_eq!(groups(&found.labels).len(), 6);
        assert!(found.inertia <= run(seed, 1).inertia);
    }
}

#[test]
fn the_inertia_is_that_of_labels_and_centres() {
    let rows = clouds(500, 16, 9, 0.8, 17);
    let unit = unit(rows.view());
    let found = kmeans(
        rows.view(),
        &KMeansOptions {
            n_clusters: 12,
            ..KMeansOptions::default()
        },
    )
    .unwrap();
    let cosine = |row: usize, centre: usize| dot(unit.row(row), found.cluster_centers.row(centre));
    let expected: f64 = (0..500)
        .map(|row| 2.0 - 2.0 * cosine(row, found.labels[row]))
        .sum();
    assert!(
        (found.inertia - expected).abs() < 1e-3,
        "{} {expected}",
        found.inertia
    );
    for row in 0..500 {
        let own = cosine(row, found.labels[row]);
        assert!(
            (0..12).all(|centre| cosine(row, centre) <= own + 1e-5),
            "row {row}"
        );
    }
}

/// As many clusters as rows, few different rows: nothing stays empty.
#[test]
fn no_cluster_stays_empty() {
    let rows = Mat::from_vec(7, 2, [1.0, 0.0].repeat(7));
    for n_clusters in [1, 3, 7] {
        let found = kmeans(
            rows.view(),
            &KMeansOptions {
                n_clusters,
                ..KMeansOptions::default()
            },
        )
        .unwrap();
        assert_eq!(groups(&found.labels).len(), n_clusters);
        assert!(found.inertia < 1e-10);
    }
    let rows = clouds(40, 8, 40, 0.0, 19);
    let found = kmeans(
        rows.view(),
        &KMeansOptions {
            n_clusters: 40,
            ..KMeansOptions::default()
        },
    )
    .unwrap();
    assert_eq!(groups(&found.labels).len(), 40);
}

#[test]
fn the_most_central_members_come_first() {
    let rows = Mat::from_vec(4, 2, vec![1.0, 0.0, 1.0, 0.1, 1.0, 0.3, 0.0, 9.0]);
    let found = most_central(rows.view(), &[vec![0, 1, 2], vec![3]], 2).unwrap();
    assert_eq!(found, [vec![1, 0], vec![3]]);
}

#[test]
fn nothing_and_one_row_are_no_problem() {
    for rows in [0, 1] {
        let rows = Mat::from_vec(rows, 3, vec![1.0; 3 * rows]);
        let view = rows.view();
        assert!(
            paraphrase_mining(view, &ParaphraseOptions::default(), cosines)
                .unwrap()
                .is_empty()
        );
        assert!(duplicates(view, 0.5, Progress::none()).unwrap().is_empty());
        let communities = community_detection(view, &CommunityOptions::default()).unwrap();
        assert_eq!(communities.len(), rows.rows());
        let labels = agglomerative(view, Linkage::Single, Cut::DistanceThreshold(0.5)).unwrap();
        assert_eq!(labels, vec![0; rows.rows()]);
    }
}
