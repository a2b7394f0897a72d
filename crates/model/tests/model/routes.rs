//! Models with a Router: a table for queries and an encoder for documents, and two encoders, as sentence-transformers 6.2 has them.

use std::fs;

use matryo_model::{
    EncodeOptions, FolderLayout, ModelError, ModelFolder, Precision, Role, SaveOptions,
    SentenceEncoder, TokenBatch, save,
};
use matryo_ops::Mat;
use matryo_testkit::{assert_close, copy_of, edit, json};
use serde_json::{Value, json};

use crate::{
    module_goldens::{
        CLOSE, compare_gradients, for_training, golden, gradients, message, texts, values,
    },
    saved::in_both_layouts,
};

const MODELS: [&str; 2] = ["static-query", "two-encoders"];
const TASKS: [(Role, &str); 2] = [
    (Role::Query, "query_direction"),
    (Role::Document, "document_direction"),
];

fn open(name: &str) -> SentenceEncoder {
    SentenceEncoder::open_in(golden(name).model(), Precision::F32).unwrap()
}

fn encode(model: &SentenceEncoder, texts: &[String], role: Role) -> Result<Mat, ModelError> {
    let options = EncodeOptions {
        role,
        ..EncodeOptions::default()
    };
    Ok(model.encode_with(texts, &options)?.embeddings)
}

#[test]
fn embeddings_of_queries_and_documents() {
    for name in MODELS {
        let (golden, model) = (golden(name), open(name));
        let (texts, expected) = (texts(&golden), values(&golden));
        for (role, key) in [
            (Role::Query, "query"),
            (Role::Document, "document"),
            (Role::Plain, "plain"),
        ] {
            let what = format!("{name} {key}");
            match (encode(&model, &texts, role), expected.get(key)) {
                (Ok(found), Some(expected)) => {
                    assert_close(found.data(), &expected.data, CLOSE, &what);
                }
                (Err(error), None) => {
                    assert!(
                        error
                            .to_string()
                            .contains("no route for texts without a task")
                    );
                    assert!(error.hint().unwrap().contains("query and document"));
                }
                (found, _) => panic!("{what}: {found:?}"),
            }
        }
    }
}

#[test]
fn a_task_names_a_route() {
    let (golden, model) = (golden("static-query"), open("static-query"));
    let texts = texts(&golden);
    let with_task = |task: &str| {
        let options = EncodeOptions {
            role: Role::Document,
            task: Some(task.to_owned()),
            ..EncodeOptions::default()
        };
        Ok::<_, ModelError>(model.encode_with(&texts, &options)?.embeddings)
    };
    assert_eq!(
        with_task("query").unwrap(),
        encode(&model, &texts, Role::Query).unwrap()
    );
    let error = with_task("answer").unwrap_err();
    assert!(error.to_string().contains("no route for the task `answer`"));
    let plain = SentenceEncoder::open(matryo_testkit::tiny_bert()).unwrap();
    let options = EncodeOptions {
        task: Some("query".into()),
        ..EncodeOptions::default()
    };
    let error = plain.encode_with(&texts, &options).unwrap_err();
    assert!(error.hint().unwrap().contains("the model has no routes"));
}

#[test]
fn gradients_of_every_parameter_of_both_routes() {
    for name in MODELS {
        let golden = golden(name);
        let found = gradients(&golden, &for_training(&golden, &[]), &TASKS);
        compare_gradients(&golden, &found);
    }
}

/// A route that is frozen gets no gradient and leaves those of the other their bits.
#[test]
fn a_frozen_route() {
    let golden = golden("two-encoders");
    let all = gradients(&golden, &for_training(&golden, &[]), &TASKS);
    let model = for_training(&golden, &["0.sub_modules.query.*"]);
    let some = gradients(&golden, &model, &TASKS);
    let of_documents = all.iter().filter(|(name, _)| name.starts_with("document_"));
    assert!(some.iter().eq(of_documents));
    assert_eq!(some.len() * 2, all.len());
}

#[test]
fn each_route_has_lengths_of_its_own() {
    let model = open("two-encoders");
    let lengths = [0, 1].map(|route| model.pipeline().max_seq_length_of(route));
    assert_eq!(lengths, [12, 48]);
    assert_eq!(model.max_seq_length(), 48);
    let mut model = for_training(&golden("static-query"), &[]);
    // As tokenizer.json says.
    assert_eq!(model.pipeline().max_seq_length_of(0), 128);
    model.pipeline_mut().set_max_seq_length(7).unwrap();
    let lengths = [0, 1].map(|route| model.pipeline().max_seq_length_of(route));
    assert_eq!(lengths, [128, 7], "a table has no longest input of its own");
    assert!(model.pipeline_mut().set_max_seq_length(65).is_err());
}

/// What a batch takes is what its route takes.
#[test]
fn memory_of_each_route() {
    let model = for_training(&golden("static-query"), &[]);
    let size = |route| matryo_model::BatchSize {
        tokens: 100,
        texts: 4,
        longest: 25,
        route,
    };
    let network = model.network();
    assert_eq!(network.routes(), 2);
    // The table keeps nothing, the module behind it vectors of width 24 and their lengths.
    assert_eq!(network.kept_bytes(size(0)), 4 * 25 * 4);
    assert!(network.kept_bytes(size(1)) > 100 * 16 * 4);
    let tables = network.word_tables();
    let found: Vec<_> = tables
        .iter()
        .map(|(route, table)| (*route, table.rows, table.cols))
        .collect();
    assert_eq!(found, [(Some(0), 500, 24), (Some(1), 500, 16)]);
}

#[test]
fn what_was_read_is_saved() {
    for name in MODELS {
        let golden = golden(name);
        let model = for_training(&golden, &[]);
        let used = open(name);
        let texts = texts(&golden);
        in_both_layouts(&model, |layout, target, again| {
            let config = json(target, "router_config.json");
            let source = json(&golden.model(), "router_config.json");
            assert_eq!(config["structure"], source["structure"]);
            assert_eq!(config["parameters"], source["parameters"]);
            match layout {
                FolderLayout::New => assert_eq!(config["types"], source["types"]),
                FolderLayout::Old => assert_eq!(
                    json(target, "modules.json")[0]["type"],
                    "sentence_transformers.models.Router"
                ),
            }
            assert_eq!(again.folder().summaries(), model.folder().summaries());
            let again = SentenceEncoder::open_in(target, Precision::F32).unwrap();
            for role in [Role::Query, Role::Document] {
                assert_eq!(
                    encode(&again, &texts, role).unwrap(),
                    encode(&used, &texts, role).unwrap(),
                    "{name}"
                );
            }
            assert_eq!(
                again.folder().weights_digest().unwrap(),
                model.folder().weights_digest().unwrap()
            );
        });
    }
}

#[test]
fn a_length_is_saved_for_encoders() {
    let model = for_training(&golden("static-query"), &[]);
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("saved");
    let options = SaveOptions {
        max_seq_length: Some(9),
        ..SaveOptions::default()
    };
    save(&target, model.folder(), model.network().params(), &options).unwrap();
    let again = SentenceEncoder::open(&target).unwrap();
    let lengths = [0, 1].map(|route| again.pipeline().max_seq_length_of(route));
    assert_eq!(lengths, [128, 9]);
}

/// A Router behind an encoder: one tokenizer, and a Dense for each kind of text.
#[test]
fn routes_behind_an_encoder() {
    let folder = copy_of(&golden("token-dense").model());
    let path = folder.path();
    edit(path, "modules.json", |modules| {
        modules[5] = json!({
            "idx": 5, "name": "5", "path": "5_Asym", "type": "sentence_transformers.models.Asym",
        });
    });
    for inner in ["query_0_Dense", "document_0_Dense"] {
        let target = path.join("5_Asym").join(inner);
        matryo_testkit::copy_folder(&path.join("5_Dense"), &target);
    }
    edit(
        &path.join("5_Asym/query_0_Dense"),
        "config.json",
        |config| {
            config["activation_function"] = json!("torch.nn.modules.linear.Identity");
        },
    );
    let dense = "sentence_transformers.models.Dense";
    let config = json!({
        "types": {"query_0_Dense": dense, "document_0_Dense": dense},
        "structure": {"query": ["query_0_Dense"], "document": ["document_0_Dense"]},
        "parameters": {"allow_empty_key": true},
    });
    matryo_testkit::put(&path.join("5_Asym"), "config.json", &config);
    let golden = golden("token-dense");
    let texts = texts(&golden);
    let model = SentenceEncoder::open_in(path, Precision::F32).unwrap();
    let found = encode(&model, &texts, Role::Document).unwrap();
    assert_close(
        found.data(),
        &values(&golden)["embeddings"].data,
        CLOSE,
        "tanh",
    );
    let query = encode(&model, &texts, Role::Query).unwrap();
    let tanh: Vec<f32> = query.data().iter().map(|x| x.tanh()).collect();
    assert_close(&tanh, found.data(), CLOSE, "without tanh");
    let ops = matryo_ops::cpu_in(Some(Precision::F32));
    let trained = SentenceEncoder::open_for_training(path, ops, &[]).unwrap();
    in_both_layouts(&trained, |_, target, _| {
        let again = SentenceEncoder::open_in(target, Precision::F32).unwrap();
        assert_eq!(encode(&again, &texts, Role::Query).unwrap(), query);
        assert!(
            target
                .join("5_Router/query_0_Dense/model.safetensors")
                .exists()
        );
    });
}

type Change = fn(&mut Value);

fn refused(change: impl FnOnce(&mut Value)) -> String {
    let folder = copy_of(&golden("static-query").model());
    edit(folder.path(), "router_config.json", change);
    message(folder.path())
}

#[test]
fn files_that_do_not_fit() {
    let changes: [(Change, &str); 9] = [
        (
            |c| c["parameters"]["default_route"] = json!("answer"),
            "`parameters.default_route` is \"answer\", expected one of query, document",
        ),
        (
            |c| c["parameters"]["temperature"] = json!(1),
            "unknown key `parameters.temperature`",
        ),
        (
            |c| c["parameters"]["route_mappings"] = json!({"query": "query"}),
            "`parameters.route_mappings`",
        ),
        (
            |c| c["structure"]["query"] = json!([]),
            "expected a list of module folders for each route",
        ),
        (
            |c| c["structure"]["query"] = json!(["../elsewhere"]),
            "expected a list of module folders for each route",
        ),
        (
            |c| c["structure"]["query"] = json!(["document_0_Transformer", "document_1_Pooling"]),
            "modules that routes share are not supported",
        ),
        (
            |c| {
                c["structure"]["document"]
                    .as_array_mut()
                    .unwrap()
                    .truncate(2)
            },
            "`query` ends in sentence_embedding of width 24, `document` in sentence_embedding of width 16",
        ),
        (
            |c| {
                c["types"]
                    .as_object_mut()
                    .unwrap()
                    .retain(|key, _| !key.starts_with("query"))
            },
            "`types.query_0_StaticEmbedding` is missing",
        ),
        (
            |c| {
                c["types"]["query_0_StaticEmbedding"] =
                    json!("sentence_transformers.base.modules.router.Router");
            },
            "routes of routes are not supported",
        ),
    ];
    for (change, part) in changes {
        let error = refused(change);
        assert!(error.contains(part), "{error}");
    }
    let folder = copy_of(&golden("static-query").model());
    fs::remove_file(folder.path().join("router_config.json")).unwrap();
    assert!(message(folder.path()).contains("no `router_config.json`"));
}

#[test]
fn mappings_choose_routes() {
    let folder = copy_of(&golden("static-query").model());
    let route = |mappings: Value, task: Option<&str>| {
        edit(folder.path(), "router_config.json", |config| {
            config["parameters"]["route_mappings"] = mappings;
        });
        let folder = ModelFolder::open(folder.path()).unwrap();
        folder.route(task).map_err(|error| error.to_string())
    };
    let both = json!({"('query', 'text')": "document", "('query', None)": "query"});
    assert_eq!(route(both, Some("query")), Ok(1), "the modality counts");
    let any = json!({"(None, None)": "query"});
    assert_eq!(route(any.clone(), Some("answer")), Ok(0));
    assert_eq!(route(any, None), Ok(0));
    let images = json!({"(None, ('image', 'text'))": "query", "(None, 'image')": "query"});
    assert_eq!(route(images.clone(), None), Ok(1), "the default");
    assert_eq!(route(images.clone(), Some("query")), Ok(0), "by its name");
    assert!(route(images, Some("answer")).is_err());
}

/// A batch is of one route; the bits of an embedding do not depend on what else is in it.
#[test]
fn a_batch_has_one_route() {
    let model = open("static-query");
    let batch = |route: usize, texts: &[&[u32]]| {
        let mut batch = TokenBatch::on_route(route);
        for ids in texts {
            batch.push(ids, 0, 0);
        }
        batch
    };
    let (a, b): (&[u32], &[u32]) = (&[2, 7, 9, 3], &[2, 11, 3]);
    for route in 0..2 {
        let both = model.network().embed(&batch(route, &[a, b]));
        let alone = model.network().embed(&batch(route, &[b]));
        assert_eq!(both.row(1), alone.row(0));
    }
    assert_ne!(
        model.network().embed(&batch(0, &[a])),
        model.network().embed(&batch(1, &[a]))
    );
}
