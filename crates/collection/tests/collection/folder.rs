//! A collection in a folder: what is added is found, once, and stays.

use std::{collections::BTreeSet, fs};

use crate::common::{Workplace, add, library, model, open_or_create};
use matryo_collection::{
    AddOptions, Chunking, Collection, CollectionError, CreateOptions, Found, Place, SearchOptions,
    VectorStorage,
};
use matryo_data::DocumentColumns;
use matryo_index::semantic_search;
use matryo_model::{SimilarityFn, similarity};
use serde_json::{Value, json};

const TOLERANCE: f32 = 1e-5;

fn search(collection: &Collection, text: &str, options: &SearchOptions) -> Vec<Found> {
    collection
        .searcher(model())
        .unwrap()
        .search(text, options)
        .unwrap()
}

fn ids(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.id.as_str()).collect()
}

fn filtered(filter: &str) -> SearchOptions {
    SearchOptions {
        filter: Some(filter.parse().unwrap()),
        ..SearchOptions::default()
    }
}

fn texts(rows: &[Value]) -> Vec<String> {
    rows.iter()
        .map(|row| row["text"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn scores_and_order_are_those_of_exact_search_in_memory() {
    let rows = library();
    for storage in VectorStorage::ALL {
        let work = Workplace::new();
        let mut collection = work.make(
            &CreateOptions {
                storage,
                ..CreateOptions::default()
            },
            &rows,
        );
        collection.optimize().unwrap();
        let question = "what is goodwill";
        let (queries, corpus) = (
            model().encode(&[question]).unwrap(),
            model().encode(&texts(&rows)).unwrap(),
        );
        let score = |a: matryo_index::MatRef<'_>, b: matryo_index::MatRef<'_>| {
            similarity(SimilarityFn::Cosine, a, b)
        };
        let expected = &semantic_search(queries.view(), corpus.view(), 5, score)[0];
        let found = search(
            &collection,
            question,
            &SearchOptions {
                limit: 5,
                ..SearchOptions::default()
            },
        );
        assert_eq!(found.len(), 5);
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.id, format!("d{}", expected.row), "{storage}");
            assert!(
                (found.score - expected.score).abs() < TOLERANCE,
                "{storage}: {} {}",
                found.score,
                expected.score
            );
        }
    }
}

#[test]
fn found_documents_come_with_text_and_fields() {
    let work = Workplace::new();
    let collection = work.make(&CreateOptions::default(), &library());
    let found = search(
        &collection,
        &texts(&library())[2],
        &SearchOptions::default(),
    );
    assert_eq!((found[0].id.as_str(), found[0].chunk), ("d2", 0));
    assert_eq!(found[0].text, texts(&library())[2]);
    let fields =
        json!({ "year": 2018, "region": "EU", "tags": ["t2"], "share": 0.25, "audited": true });
    assert_eq!(Value::Object(found[0].fields.clone()), fields);
    assert!((found[0].score - 1.0).abs() < TOLERANCE);
}

#[test]
fn filters_choose_documents() {
    let work = Workplace::new();
    let collection = work.make(&CreateOptions::default(), &library());
    for (filter, expected) in [
        ("year >= 2020", &["d4", "d5", "d6", "d7"][..]),
        ("year >= 2020 and region = \"EU\"", &["d4", "d6"]),
        ("year < 2017 or year = 2023", &["d0", "d7"]),
        ("not region in [\"EU\"] and audited = true", &["d1", "d3"]),
        ("tags = \"t1\"", &["d1", "d4", "d7"]),
        ("share = 0.125", &["d1"]),
        ("share > 0.7", &["d6", "d7"]),
        ("region != \"EU\" and year != 2017", &["d3", "d5", "d7"]),
        ("text contains \"goodwill\"", &["d0"]),
        ("id in [\"d3\", \"d4\"]", &["d3", "d4"]),
    ] {
        let found = search(&collection, "value", &filtered(filter));
        assert_eq!(
            ids(&found).into_iter().collect::<BTreeSet<_>>(),
            expected.iter().copied().collect(),
            "{filter}"
        );
    }
}

#[test]
fn a_filter_on_a_field_that_nothing_has_is_an_error() {
    let work = Workplace::new();
    let collection = work.make(&CreateOptions::default(), &library());
    let searcher = collection.searcher(model()).unwrap();
    let error = searcher
        .search("value", &filtered("yaer >= 2020"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "no document has the field `yaer`; there are audited, id, region, share, tags, text, year"
    );
    assert_eq!(
        searcher.search("value", &filtered("year >= 3000")).unwrap(),
        []
    );
}

#[test]
fn adding_again_changes_nothing_and_changes_replace() {
    let work = Workplace::new();
    let mut rows = library();
    let collection = work.make(&CreateOptions::default(), &rows);
    let again = add(&collection, &work.documents(&rows)).unwrap();
    assert_eq!(
        (again.added, again.replaced, again.unchanged, again.chunks),
        (0, 0, 8, 0)
    );
    rows[3]["text"] = "entirely new words about hedges".into();
    rows[5]["year"] = 1999.into();
    rows.push(json!({ "id": "d8", "text": "one more" }));
    let changed = add(&collection, &work.documents(&rows)).unwrap();
    assert_eq!(
        (
            changed.added,
            changed.replaced,
            changed.unchanged,
            changed.chunks
        ),
        (1, 2, 6, 3)
    );
    assert_eq!(collection.info().unwrap().documents, 9);
    assert_eq!(
        ids(&search(
            &collection,
            "entirely new words about hedges",
            &SearchOptions::default()
        ))[0],
        "d3"
    );
    assert_eq!(
        ids(&search(&collection, "x", &filtered("year = 1999"))),
        ["d5"]
    );
}

#[test]
fn documents_stay_when_the_collection_is_opened_again_and_optimized() {
    let work = Workplace::new();
    drop(work.make(&CreateOptions::default(), &library()));
    let mut collection = Collection::open(&work.place()).unwrap();
    collection
        .delete(&["d1".to_owned(), "d6".to_owned()])
        .unwrap();
    collection.optimize().unwrap();
    drop(collection);
    let collection = Collection::open(&work.place()).unwrap();
    assert_eq!(collection.info().unwrap().documents, 6);
    let found = search(&collection, "value", &SearchOptions::default());
    assert_eq!(
        ids(&found).into_iter().collect::<BTreeSet<_>>(),
        ["d0", "d2", "d3", "d4", "d5", "d7"].into()
    );
    assert_eq!(
        fs::read_dir(work.path("collection")).unwrap().count(),
        2,
        "collection.json and one folder of points"
    );
}

#[test]
fn deleting_is_all_or_nothing() {
    let work = Workplace::new();
    let collection = work.make(&CreateOptions::default(), &library());
    let error = collection
        .delete(&["d1".to_owned(), "nobody".to_owned()])
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("1 of 2 documents are not in the collection, the first is `nobody`"),
        "{error}"
    );
    assert_eq!(collection.info().unwrap().documents, 8);
    assert_eq!(
        collection
            .delete_where(&"region = \"EU\"".parse().unwrap())
            .unwrap(),
        4
    );
    assert_eq!(collection.info().unwrap().documents, 4);
}

#[test]
fn an_update_of_what_is_not_there_changes_nothing() {
    let work = Workplace::new();
    let collection = work.make(&CreateOptions::default(), &library());
    let rows = [
        json!({ "id": "d0", "text": "changed" }),
        json!({ "id": "new", "text": "x" }),
    ];
    let options = AddOptions {
        only_existing: true,
        ..AddOptions::default()
    };
    let done = collection.add(
        model(),
        &work.documents(&rows),
        &DocumentColumns::default(),
        &options,
    );
    assert!(
        matches!(done, Err(CollectionError::UnknownDocuments { of: 2, .. })),
        "{done:?}"
    );
    assert_eq!(
        search(&collection, "changed", &filtered("id = \"d0\""))[0].text,
        texts(&library())[0]
    );
}

#[test]
fn long_documents_are_cut_and_found_by_their_best_chunk() {
    let work = Workplace::new();
    let words = texts(&library()).join(". ");
    let rows = [
        json!({ "id": "long", "text": words, "n": 1 }),
        json!({ "id": "short", "text": "dividend", "n": 2 }),
    ];
    let chunking = Some(Chunking {
        tokens: 16,
        overlap: 4,
    });
    let options = CreateOptions {
        chunking,
        ..CreateOptions::default()
    };
    let collection = work.make(&options, &rows);
    let info = collection.info().unwrap();
    assert!(
        info.points > 5 && info.documents == 2,
        "{} points, {} documents",
        info.points,
        info.documents
    );
    let found = search(
        &collection,
        "deferred tax assets depend on future profits",
        &SearchOptions::default(),
    );
    assert_eq!(found.len(), 2, "each document once");
    let long = found.iter().find(|found| found.id == "long").unwrap();
    assert!(long.chunk > 0 && long.text.contains("profits"), "{long:?}");
    // A shorter version leaves none of the old chunks behind.
    let rows = [json!({ "id": "long", "text": "now short" })];
    add(&collection, &work.documents(&rows)).unwrap();
    assert_eq!(collection.info().unwrap().points, 2);
}

#[test]
fn stages_narrow_the_search() {
    let work = Workplace::new();
    let options = CreateOptions {
        dims: vec![8, 16],
        ..CreateOptions::default()
    };
    let collection = work.make(&options, &library());
    assert_eq!(collection.manifest().dims, [8, 16, 32]);
    let whole = search(
        &collection,
        "value",
        &SearchOptions {
            limit: 3,
            ..SearchOptions::default()
        },
    );
    let funnel = |stages: &str, limit| SearchOptions {
        limit,
        stages: Some(stages.parse().unwrap()),
        ..SearchOptions::default()
    };
    // Every document passes the first stage, so the last decides alone.
    let all = search(&collection, "value", &funnel("8:8,32:7", 3));
    assert_eq!(ids(&all), ids(&whole));
    let few = search(&collection, "value", &funnel("8:4,32:2", 10));
    assert_eq!(few.len(), 2);
    let error = collection
        .searcher(model())
        .unwrap()
        .search("value", &funnel("4:4", 1))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no vectors of 4 dimensions are stored; there are 8, 16, 32"
    );
}

#[test]
fn words_are_found_besides() {
    let work = Workplace::new();
    let collection = work.make(
        &CreateOptions {
            hybrid: true,
            ..CreateOptions::default()
        },
        &library(),
    );
    let options = SearchOptions {
        hybrid: true,
        ..SearchOptions::default()
    };
    let found = search(&collection, "repurchased", &options);
    assert!(ids(&found)[..2].contains(&"d6"), "{:?}", ids(&found));
    let plain = Workplace::new();
    let without = plain.make(&CreateOptions::default(), &library());
    let error = without
        .searcher(model())
        .unwrap()
        .search("x", &options)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the collection holds no words to search by"
    );
}

#[test]
fn another_model_is_refused() {
    let work = Workplace::new();
    let collection = work.make(&CreateOptions::default(), &library());
    let refused = collection
        .searcher(&work.other_model())
        .err()
        .expect("another model")
        .to_string();
    assert!(
        refused.contains("made with another model: its weights' digest is"),
        "{refused}"
    );
}

#[test]
fn settings_that_differ_are_refused() {
    let work = Workplace::new();
    drop(work.make(&CreateOptions::default(), &library()));
    for options in [
        CreateOptions {
            dims: vec![8],
            ..CreateOptions::default()
        },
        CreateOptions {
            storage: VectorStorage::Int8,
            ..CreateOptions::default()
        },
        CreateOptions {
            hybrid: true,
            ..CreateOptions::default()
        },
        CreateOptions {
            chunking: Some(Chunking {
                tokens: 16,
                overlap: 0,
            }),
            ..CreateOptions::default()
        },
    ] {
        let done = open_or_create(&work.place(), &options).map(drop);
        assert!(
            matches!(done, Err(CollectionError::Settings { .. })),
            "{done:?}"
        );
    }
    let wide = CreateOptions {
        dims: vec![64],
        ..CreateOptions::default()
    };
    let done = open_or_create(&Place::Folder(work.path("new")), &wide).map(drop);
    assert!(
        matches!(done, Err(CollectionError::UnknownDimension { dim: 64, .. })),
        "{done:?}"
    );
    assert!(!work.path("new").exists());
    let chunking = Some(Chunking {
        tokens: 16,
        overlap: 8,
    });
    let done = open_or_create(
        &Place::Folder(work.path("new")),
        &CreateOptions {
            chunking,
            ..CreateOptions::default()
        },
    );
    assert!(matches!(
        done.map(drop),
        Err(CollectionError::Chunking { .. })
    ));
}

#[test]
fn what_is_no_collection_is_said() {
    let work = Workplace::new();
    let opened = |place: &Place| Collection::open(place).map(drop).unwrap_err();
    assert!(matches!(
        opened(&work.place()),
        CollectionError::Missing { .. }
    ));
    let folder = work.path("collection");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("letter.txt"), "mine").unwrap();
    assert!(matches!(
        opened(&work.place()),
        CollectionError::NotACollection { .. }
    ));
    let made = open_or_create(&work.place(), &CreateOptions::default()).map(drop);
    assert!(matches!(made, Err(CollectionError::NotACollection { .. })));
    assert_eq!(
        fs::read_to_string(folder.join("letter.txt")).unwrap(),
        "mine"
    );
}

#[test]
fn a_damaged_description_or_a_later_format_is_said() {
    let work = Workplace::new();
    drop(work.make(&CreateOptions::default(), &library()));
    let file = work.path("collection").join("collection.json");
    let json = fs::read_to_string(&file).unwrap();
    fs::write(&file, json.replace("\"format\": 1", "\"format\": 9")).unwrap();
    assert!(matches!(
        Collection::open(&work.place()).map(drop),
        Err(CollectionError::Format { found: 9, .. })
    ));
    fs::write(&file, &json[..json.len() / 2]).unwrap();
    assert!(matches!(
        Collection::open(&work.place()).map(drop),
        Err(CollectionError::Manifest { .. })
    ));
}

#[test]
fn one_at_a_time() {
    let work = Workplace::new();
    let collection = work.make(&CreateOptions::default(), &library());
    // The lock is one of this process's too.
    assert!(matches!(
        Collection::open(&work.place()).map(drop),
        Err(CollectionError::InUse { .. })
    ));
    drop(collection);
    assert!(Collection::open(&work.place()).is_ok());
}

#[test]
fn what_an_interrupted_change_left_is_removed() {
    let work = Workplace::new();
    let folder = work.path("collection");
    fs::create_dir_all(folder.join("points-1/segments")).unwrap();
    let collection = work.make(&CreateOptions::default(), &library());
    drop(collection);
    fs::create_dir_all(folder.join("points-2/segments")).unwrap();
    assert_eq!(
        Collection::open(&work.place())
            .unwrap()
            .info()
            .unwrap()
            .documents,
        8
    );
    assert!(!folder.join("points-2").exists());
}

#[test]
fn recall_is_one_where_every_vector_is_compared() {
    let work = Workplace::new();
    let collection = work.make(&CreateOptions::default(), &library());
    let searcher = collection.searcher(model()).unwrap();
    let sample = collection.sample(5).unwrap();
    let recall = searcher
        .recall(
            &sample,
            &SearchOptions {
                limit: 3,
                ..SearchOptions::default()
            },
        )
        .unwrap();
    assert_eq!((recall.queries, recall.k, recall.recall), (5, 3, 1.0));
}

#[test]
fn odd_documents_and_questions() {
    let work = Workplace::new();
    let rows = [
        json!({ "id": "empty", "text": "" }),
        json!({ "id": "é\u{0}/\"", "text": "\u{1F600} text" }),
    ];
    let collection = work.make(
        &CreateOptions {
            hybrid: true,
            ..CreateOptions::default()
        },
        &rows,
    );
    let searcher = collection.searcher(model()).unwrap();
    assert!(matches!(
        searcher.search("  ", &SearchOptions::default()),
        Err(CollectionError::EmptyQuery)
    ));
    assert_eq!(
        searcher
            .search(
                "x",
                &SearchOptions {
                    limit: 0,
                    ..SearchOptions::default()
                }
            )
            .unwrap(),
        []
    );
    assert_eq!(
        searcher
            .search(
                "x",
                &SearchOptions {
                    limit: 1000,
                    ..SearchOptions::default()
                }
            )
            .unwrap()
            .len(),
        2
    );
    assert_eq!(collection.delete(&["é\u{0}/\"".to_owned()]).unwrap(), 1);
    let reserved = [json!({ "id": "a", "text": "x", "_chunk": 3 })];
    let done = add(&collection, &work.documents(&reserved));
    assert!(
        matches!(done, Err(CollectionError::ReservedField { .. })),
        "{done:?}"
    );
}

#[test]
fn files_that_cannot_be_written_are_an_error() {
    let work = Workplace::new();
    let collection = work.make(&CreateOptions::default(), &library());
    fs::remove_dir_all(work.path("collection")).unwrap();
    let error = add(
        &collection,
        &work.documents(&[json!({ "id": "new", "text": "x" })]),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot write to the collection "),
        "{error}"
    );
    // Nor does closing panic, which writes once more.
    drop(collection);
}
