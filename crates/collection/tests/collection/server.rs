//! A collection on a server: the same commands, over Qdrant's REST interface.

use crate::common::{Workplace, add, library, model, open_or_create};
use crate::mock_qdrant::Qdrant;
use matryo_base::Progress;
use matryo_collection::{
    Collection, CollectionError, CreateOptions, Found, Place, SearchOptions, Spread,
};
use serde_json::json;

fn place(server: &Qdrant, key: Option<&str>) -> Place {
    Place::Server {
        url: server.url.clone(),
        name: "my docs".to_owned(),
        key: key.map(str::to_owned),
        spread: Spread {
            shards: Some(3),
            replicas: Some(2),
        },
    }
}

fn options() -> CreateOptions {
    CreateOptions {
        dims: vec![8],
        hybrid: true,
        ..CreateOptions::default()
    }
}

fn search(collection: &Collection, text: &str, options: &SearchOptions) -> Vec<Found> {
    collection
        .searcher(model())
        .unwrap()
        .search(text, options)
        .unwrap()
}

fn assert_same(found: &[Found], expected: &[Found]) {
    let without_score =
        |found: &Found| (found.id.clone(), found.text.clone(), found.fields.clone());
    assert_eq!(
        found.iter().map(without_score).collect::<Vec<_>>(),
        expected.iter().map(without_score).collect::<Vec<_>>()
    );
    let differ = found
        .iter()
        .zip(expected)
        .any(|(a, b)| (a.score - b.score).abs() > 1e-5);
    assert!(!differ, "{found:?}\n{expected:?}");
}

#[test]
fn a_server_answers_as_a_folder_does() {
    let (server, work) = (Qdrant::start(), Workplace::new());
    let local = work.make(&options(), &library());
    let remote = open_or_create(&place(&server, None), &options()).unwrap();
    add(&remote, &work.documents(&library())).unwrap();
    assert_eq!(remote.info().unwrap().documents, 8);
    let asked = |filter: Option<&str>, stages: Option<&str>| SearchOptions {
        limit: 4,
        filter: filter.map(|text| text.parse().unwrap()),
        stages: stages.map(|text| text.parse().unwrap()),
        ..SearchOptions::default()
    };
    for (filter, stages) in [
        (None, None),
        (Some("year >= 2018 and not region = \"EU\""), None),
        (Some("region in [\"US\"] or share < 0.2"), Some("8:6,32:3")),
        (Some("audited = true"), Some("8:3")),
    ] {
        let options = asked(filter, stages);
        assert_same(
            &search(&remote, "fair value", &options),
            &search(&local, "fair value", &options),
        );
    }
    let hybrid = SearchOptions {
        hybrid: true,
        ..SearchOptions::default()
    };
    assert_eq!(
        search(&remote, "repurchased", &hybrid)[0].id,
        search(&local, "repurchased", &hybrid)[0].id
    );
}

#[test]
fn a_new_collection_is_described_and_spread_as_asked() {
    let server = Qdrant::start();
    drop(open_or_create(&place(&server, None), &options()).unwrap());
    let state = server.state.lock().unwrap();
    let stored = &state.collections["my%20docs"];
    let params = |size: usize| json!({ "size": size, "distance": "Cosine", "on_disk": true });
    assert_eq!(
        stored.config["vectors"],
        json!({ "8": params(8), "32": params(32) })
    );
    assert_eq!(
        stored.config["sparse_vectors"],
        json!({ "words": { "modifier": "idf" } })
    );
    assert_eq!(
        (
            &stored.config["shard_number"],
            &stored.config["replication_factor"]
        ),
        (&json!(3), &json!(2))
    );
    assert_eq!(stored.config["metadata"]["matryo"]["model"]["name"], "tiny");
    assert_eq!(
        stored.indexes,
        [json!({ "field_name": "id", "field_schema": "keyword" })]
    );
}

#[test]
fn documents_change_and_go() {
    let (server, work) = (Qdrant::start(), Workplace::new());
    let remote = open_or_create(&place(&server, None), &options()).unwrap();
    let mut rows = library();
    add(&remote, &work.documents(&rows)).unwrap();
    rows[0]["text"] = "new words".into();
    let report = add(&remote, &work.documents(&rows)).unwrap();
    assert_eq!((report.added, report.replaced, report.unchanged), (0, 1, 7));
    assert_eq!(remote.delete(&["d1".to_owned()]).unwrap(), 1);
    assert_eq!(
        remote
            .delete_where(&"year > 2020".parse().unwrap())
            .unwrap(),
        3
    );
    assert_eq!(
        Collection::open(&place(&server, None))
            .unwrap()
            .info()
            .unwrap()
            .documents,
        4
    );
}

#[test]
fn a_folder_is_pushed_and_compared() {
    let (server, work) = (Qdrant::start(), Workplace::new());
    let local = work.make(&options(), &library());
    let target = place(&server, None);
    for _ in 0..2 {
        let report = local.push(&target, Progress::none()).unwrap();
        assert_eq!((report.points, report.compared), (8, 8));
    }
    let remote = Collection::open(&target).unwrap();
    let options = SearchOptions::default();
    assert_same(
        &search(&remote, "dividend", &options),
        &search(&local, "dividend", &options),
    );
}

#[test]
fn a_bad_copy_is_noticed() {
    let (server, work) = (Qdrant::start(), Workplace::new());
    let local = work.make(&options(), &library());
    server.set(|state| state.loses = Some(7));
    let error = local
        .push(&place(&server, None), Progress::none())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the copy differs: number of points is 7, expected 8"
    );
}

#[test]
fn what_the_server_refuses_is_said() {
    let server = Qdrant::start();
    server.set(|state| state.key = Some("secret".to_owned()));
    let error = open_or_create(&place(&server, Some("wrong")), &options())
        .map(drop)
        .unwrap_err();
    assert!(
        error.to_string().contains("answers 401")
            && error.hint().unwrap().contains("QDRANT_API_KEY"),
        "{error}"
    );
    assert!(open_or_create(&place(&server, Some("secret")), &options()).is_ok());
}

#[test]
fn a_server_that_keeps_no_description_gets_no_collection() {
    let server = Qdrant::start();
    server.set(|state| state.forgets_metadata = true);
    let error = open_or_create(&place(&server, None), &options())
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, CollectionError::Foreign { .. }), "{error}");
    assert!(server.state.lock().unwrap().collections.is_empty());
}

#[test]
fn a_missing_collection_or_server_is_said() {
    let server = Qdrant::start();
    let error = Collection::open(&place(&server, None))
        .map(drop)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no collection at my docs on http://127.0.0.1:"),
        "{error}"
    );
    let nobody = Place::Server {
        url: "http://127.0.0.1:9".to_owned(),
        name: "x".to_owned(),
        key: None,
        spread: Spread::default(),
    };
    assert!(matches!(
        Collection::open(&nobody).map(drop),
        Err(CollectionError::Network { .. })
    ));
}
