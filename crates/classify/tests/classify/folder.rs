//! A classifier's folder on the tiny model: trained, read back, spoilt.

use std::{fs, path::Path};

use matryo_base::Progress;
use matryo_classify::{
    Classifier, ClassifyError, Examples, FewShotOptions, HEAD_FILE, Listeners, LogisticOptions,
    Method, SETTINGS_FILE, SamplingStrategy, Trained, Training, train,
};
use matryo_data::LabelledTexts;
use matryo_model::SentenceEncoder;
use matryo_train::events::Silent;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

/// Texts of one of three topics, told apart by a word.
fn examples(per_class: usize) -> Examples {
    let topics = [
        ("card", "my card was lost on the way"),
        ("refund", "please refund the payment"),
        ("rate", "which exchange rate applies"),
    ];
    let rows = (0..per_class)
        .flat_map(|i| topics.map(|(label, text)| (label.to_owned(), format!("{text} {i}"))));
    let (labels, texts) = rows.unzip();
    Examples::new(LabelledTexts { texts, labels })
}

fn few_shot() -> Method {
    Method::FewShot(FewShotOptions {
        body_learning_rate: 1e-3,
        sampling_strategy: SamplingStrategy::Undersampling,
        max_steps: Some(6),
        ..FewShotOptions::default()
    })
}

fn trained(examples: &Examples, method: Method, target: &Path) -> Result<Trained, ClassifyError> {
    let model = matryo_testkit::tiny_bert();
    let training = Training {
        model: model.to_str().unwrap(),
        revision: None,
        precision: None,
        data: Path::new("train.jsonl"),
        examples,
        method,
        head: LogisticOptions {
            c: 10.0,
            ..LogisticOptions::default()
        },
        normalize_embeddings: false,
        seed: 42,
    };
    let mut listeners = Listeners {
        downloads: &(),
        tuning: &mut Silent,
        encoding: Progress::none(),
    };
    train(&training, target, &mut listeners)
}

fn open(folder: &Path) -> Result<Classifier, ClassifyError> {
    Classifier::open(folder, matryo_ops::cpu())
}

/// Seconds are those of this run.
fn without_times(trained: Trained) -> Trained {
    Trained {
        tuning_seconds: 0.0,
        encoding_seconds: 0.0,
        fitting_seconds: 0.0,
        ..trained
    }
}

#[test]
fn a_probe_leaves_the_embeddings_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let (target, examples) = (dir.path().join("out"), examples(4));
    let result = trained(&examples, Method::Probe, &target).unwrap();
    assert_eq!(
        (result.examples, result.tuned, result.converged),
        (12, None, true)
    );
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing else is left"
    );
    let classifier = open(&target).unwrap();
    assert_eq!(classifier.labels(), ["card", "rate", "refund"]);
    let base = SentenceEncoder::open(matryo_testkit::tiny_bert()).unwrap();
    let (predictions, encoded) = classifier
        .predict_with(&examples.texts, Progress::none())
        .unwrap();
    assert_eq!(encoded.embeddings, base.encode(&examples.texts).unwrap());
    let found: Vec<usize> = (0..12).map(|i| predictions.best(i)).collect();
    assert_eq!(found, examples.labels);
    assert!((predictions.row(0).iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let record = &classifier.settings().training;
    assert_eq!(
        (&record["method"], &record["examples"], &record["C"]),
        (&json!("probe"), &json!(12), &json!(10.0))
    );
    assert!(
        fs::read_to_string(target.join("README.md"))
            .unwrap()
            .contains("## Classification")
    );
}

#[test]
fn few_shot_training_moves_classes_apart_and_repeats_itself() {
    let dir = tempfile::tempdir().unwrap();
    let examples = examples(4);
    let targets = ["a", "b"].map(|name| dir.path().join(name));
    let results = targets
        .each_ref()
        .map(|target| without_times(trained(&examples, few_shot(), target).unwrap()));
    assert_eq!(results[0], results[1]);
    let (pairs, steps) = results[0].tuned.unwrap();
    assert_eq!((pairs.positive, pairs.negative, steps), (30, 30, 6));
    for file in ["model.safetensors", HEAD_FILE] {
        assert_eq!(
            fs::read(targets[0].join(file)).unwrap(),
            fs::read(targets[1].join(file)).unwrap(),
            "{file}"
        );
    }
    let (before, after) = (
        SentenceEncoder::open(matryo_testkit::tiny_bert()).unwrap(),
        open(&targets[0]).unwrap(),
    );
    let margins = [&before, after.model()].map(|model| margin(model, &examples));
    assert!(margins[1] > margins[0] + 0.05, "{margins:?}");
    let card = fs::read_to_string(targets[0].join("README.md")).unwrap();
    assert!(
        card.contains("contrastive pairs of train.jsonl") && !card.contains(".saving.tmp"),
        "{card}"
    );
    assert_eq!(after.settings().training["method"], "few-shot");
    assert_eq!(
        after.settings().training["sampling_strategy"],
        "undersampling"
    );
}

/// How much more alike texts of one class are than texts of two.
fn margin(model: &SentenceEncoder, examples: &Examples) -> f64 {
    let embeddings = model.encode(&examples.texts).unwrap();
    let cosines = model.similarity(&embeddings, &embeddings);
    let mean = |same: bool| {
        let pairs = (0..examples.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        let kind = pairs.filter(|&(i, j)| (examples.labels[i] == examples.labels[j]) == same);
        let values: Vec<f64> = kind.map(|(i, j)| f64::from(cosines.row(i)[j])).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    mean(true) - mean(false)
}

#[test]
fn too_many_pairs_are_refused_before_any_work() {
    let dir = tempfile::tempdir().unwrap();
    let texts = vec![String::from("a"); 30_000];
    let labels = (0..30_000).map(|i| (i % 3).to_string()).collect();
    let many = Examples::new(LabelledTexts { texts, labels });
    let error = trained(&many, few_shot(), &dir.path().join("out")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("few-shot training on 30000 examples makes 450015000 pairs"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("linear probe"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// The message and hint of opening a folder that was spoilt.
fn spoilt(spoil: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    trained(&examples(2), Method::Probe, &target).unwrap();
    spoil(&target);
    let error = open(&target).err().expect("a spoilt folder is refused");
    let text = error
        .hint()
        .map_or(error.to_string(), |hint| format!("{error}\nhint: {hint}"));
    text.replace(&format!("{}", target.display()), "out")
}

fn edit(folder: &Path, change: impl FnOnce(&mut Value)) {
    let path = folder.join(SETTINGS_FILE);
    let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// Other weights: name, shape, values.
fn weights(folder: &Path, tensors: &[(&str, &[usize], f64)]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape, value)| value.to_le_bytes().repeat(shape.iter().product()))
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (
            *name,
            TensorView::new(Dtype::F64, shape.to_vec(), bytes).unwrap(),
        )
    });
    fs::write(
        folder.join(HEAD_FILE),
        safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap(),
    )
    .unwrap();
}

#[test]
fn wrong_descriptions_are_told() {
    let missing = spoilt(|folder| fs::remove_file(folder.join(SETTINGS_FILE)).unwrap());
    assert!(
        missing.starts_with(
            "the folder has no classifier: `classifier.json` is missing\n  in out\nhint: "
        ),
        "{missing}"
    );
    let set = |key: &'static str, value: Value| {
        spoilt(move |folder| edit(folder, |settings| settings[key] = value))
    };
    assert_eq!(
        set("format", json!(2)),
        "the classifier has format 2, expected 1\n  in out/classifier.json\nhint: it was written by a newer matryo"
    );
    assert_eq!(
        set("head", json!("SVC")),
        "the head is `SVC`, expected `LogisticRegression`\n  in out/classifier.json"
    );
    assert_eq!(
        set("labels", json!(["a"])),
        "the classifier has 1 label, expected at least 2\n  in out/classifier.json"
    );
    assert_eq!(
        set("labels", json!(["a", "b", "a"])),
        "label `a` is there twice\n  in out/classifier.json"
    );
    assert_eq!(
        set("labels", json!(["a", " ", "b"])),
        "label 1 is empty\n  in out/classifier.json"
    );
    assert!(
        set("extra", json!(1))
            .starts_with("not the description of a classifier: unknown field `extra`")
    );
}

#[test]
fn wrong_tensors_are_told() {
    let with = |tensors: &[(&str, &[usize], f64)]| spoilt(|folder| weights(folder, tensors));
    let twins = "\nhint: are the classifier's two files and the model from one training?";
    assert_eq!(
        with(&[("coef", &[3, 32], 0.5)]),
        format!(
            "tensor `intercept` is missing, found coef\n  in out/classifier.safetensors{twins}"
        )
    );
    assert_eq!(
        with(&[("coef", &[2, 32], 0.5), ("intercept", &[3], 0.5)]),
        format!(
            "tensor `coef` has shape [2, 32], expected [3, 32]\n  in out/classifier.safetensors{twins}"
        )
    );
    assert_eq!(
        with(&[("coef", &[3, 32], 0.5), ("intercept", &[3], f64::NAN)]),
        "tensor `intercept` has the value NaN at 0\n  in out/classifier.safetensors"
    );
    assert_eq!(
        with(&[
            ("coef", &[3, 32], 0.5),
            ("intercept", &[3], 0.5),
            ("scale", &[1], 0.5)
        ]),
        "unexpected tensor `scale`, expected `coef` and `intercept`\n  in out/classifier.safetensors"
    );
    let cut = spoilt(|folder| fs::write(folder.join(HEAD_FILE), b"short").unwrap());
    assert!(cut.starts_with("not a valid safetensors file: "), "{cut}");
}

#[test]
fn a_head_for_another_model_is_told() {
    let narrow = spoilt(|folder| {
        edit(folder, |settings| settings["dim"] = json!(16));
        weights(folder, &[("coef", &[3, 16], 0.5), ("intercept", &[3], 0.5)]);
    });
    let expected =
        "the classifier takes embeddings of 16 values, the model gives 32\n  in out\nhint: ";
    assert!(narrow.starts_with(expected), "{narrow}");
}
