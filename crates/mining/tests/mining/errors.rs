//! Every error with its message and hint.

use matryo_base::Progress;
use matryo_mining::{
    AGGLOMERATIVE_ROWS, CommunityOptions, Cut, KMeansOptions, Linkage, Mat, MiningError,
    ParaphraseOptions, agglomerative, community_detection, cosines, duplicates, kmeans,
    paraphrase_mining,
};

fn rows() -> Mat {
    Mat::from_vec(3, 2, vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0])
}

fn refused<T>(result: Result<T, MiningError>) -> (String, Option<String>) {
    let error = result.err().expect("an error");
    (error.to_string(), error.hint())
}

#[test]
fn settings() {
    let (rows, half) = (rows(), Cut::DistanceThreshold(-0.5));
    let message = refused(duplicates(rows.view(), 1.5, Progress::none())).0;
    assert_eq!(message, "`threshold` is 1.5, expected a cosine, -1 to 1");
    let options = CommunityOptions {
        min_community_size: 0,
        ..CommunityOptions::default()
    };
    let message = refused(community_detection(rows.view(), &options)).0;
    assert_eq!(
        message,
        "`min_community_size` is 0, expected a positive whole number"
    );
    let options = ParaphraseOptions {
        query_chunk_size: 0,
        ..ParaphraseOptions::default()
    };
    assert!(
        refused(paraphrase_mining(rows.view(), &options, cosines))
            .0
            .starts_with("`query_chunk_size` is 0")
    );
    let message = refused(agglomerative(rows.view(), Linkage::Average, half)).0;
    assert_eq!(
        message,
        "`distance_threshold` is -0.5, expected 1 - cosine, 0 or more"
    );
    assert!(
        refused(duplicates(rows.view(), f32::NAN, Progress::none()))
            .0
            .starts_with("`threshold` is NaN")
    );
}

#[test]
fn more_clusters_than_rows() {
    let expected = (
        "4 clusters of 3 rows".to_owned(),
        Some("3 is the largest possible number".to_owned()),
    );
    let options = KMeansOptions {
        n_clusters: 4,
        ..KMeansOptions::default()
    };
    assert_eq!(refused(kmeans(rows().view(), &options)), expected);
    assert_eq!(
        refused(agglomerative(
            rows().view(),
            Linkage::Single,
            Cut::Clusters(4)
        )),
        expected
    );
}

#[test]
fn initial_centres_of_another_shape() {
    let init = Mat::zeros(2, 3);
    let options = KMeansOptions {
        n_clusters: 2,
        init: Some(init.view()),
        ..KMeansOptions::default()
    };
    assert_eq!(
        refused(kmeans(rows().view(), &options)).0,
        "the initial centres are [2, 3], expected [2, 2]"
    );
}

#[test]
fn a_value_that_is_no_number() {
    let rows = Mat::from_vec(2, 2, vec![1.0, 0.0, 0.0, f32::NAN]);
    let (message, hint) = refused(duplicates(rows.view(), 0.5, Progress::none()));
    assert_eq!(message, "value 2 of row 2 is NaN, expected a finite number");
    assert!(hint.is_some());
    assert_eq!(
        refused(kmeans(
            rows.view(),
            &KMeansOptions {
                n_clusters: 1,
                ..KMeansOptions::default()
            }
        ))
        .0,
        message
    );
}

/// The matrix would take 8 GiB, so the error must come first.
#[test]
fn too_many_rows_for_a_matrix() {
    let rows = Mat::zeros(2 * AGGLOMERATIVE_ROWS, 1);
    let (message, hint) = refused(agglomerative(
        rows.view(),
        Linkage::Average,
        Cut::Clusters(2),
    ));
    assert_eq!(
        message,
        "the distances of 65536 rows take 8.0 GiB, expected at most 32768 rows (2.0 GiB)"
    );
    assert!(hint.unwrap().contains("k-means"));
}
