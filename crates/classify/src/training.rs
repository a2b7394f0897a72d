//! From labelled texts and a base model to a folder with model and head.

use std::{path::Path, time::Instant};

use matryo_base::{Progress, write_folder};
use matryo_model::{
    EncodeOptions, Encoded, ExpectedPrompts, HubOptions, HubProgress, ModelError, Precision, Role,
    SaveOptions, SentenceEncoder, resolve, save,
};
use matryo_ops::cpu_in;
use matryo_train::Observer;
use serde_json::{Map, Value, json};

use crate::{
    ClassifierFile, ClassifyError, Examples, FewShotOptions, Fit, LogisticHead, LogisticOptions,
    PairCounts, card,
    few_shot::{Tuning, tune, unmet_prompts},
    head_files,
};

/// What the head is put on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// The embeddings of the base model, as they are.
    Probe,
    /// Embeddings that are tuned on pairs of the examples first (SetFit).
    FewShot(FewShotOptions),
}

/// What is trained on what, and how.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// The base model: a folder, or a name on the hub.
    pub model: &'a str,
    /// Branch, tag or commit on the hub.
    pub revision: Option<&'a str>,
    /// How exactly linear layers are multiplied; `None` chooses.
    pub precision: Option<Precision>,
    /// The file of the examples, for the records; it is not read.
    pub data: &'a Path,
    /// The examples.
    pub examples: &'a Examples,
    /// Whether embeddings are tuned first.
    pub method: Method,
    /// How the head is fitted.
    pub head: LogisticOptions,
    /// Whether embeddings are scaled to length 1 before the head.
    pub normalize_embeddings: bool,
    /// Seed of whatever is random in the tuning.
    pub seed: u64,
}

/// Who hears of the work.
pub struct Listeners<'a> {
    /// Of a download of the base model.
    pub downloads: &'a dyn HubProgress,
    /// Of the tuning.
    pub tuning: &'a mut dyn Observer,
    /// Of the encoding of the examples: texts done, texts in all.
    pub encoding: Progress<'a>,
}

/// What a training left and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Names of the classes.
    pub labels: Vec<String>,
    /// Examples trained on.
    pub examples: usize,
    /// Pairs trained on, and optimizer steps; `None` for a probe.
    pub tuned: Option<(PairCounts, u64)>,
    /// Texts that were cut.
    pub truncated: usize,
    /// What the base model wants before its texts, if the examples have it not.
    pub missing_prompts: Option<ExpectedPrompts>,
    /// Iterations of the head's fit.
    pub iterations: usize,
    /// Largest component of its gradient at the end.
    pub gradient: f64,
    /// Whether the fit reached its optimum.
    pub converged: bool,
    /// Wall time of putting the model in place, which is the tuning if there is one, in seconds.
    pub tuning_seconds: f64,
    /// Wall time of encoding the examples.
    pub encoding_seconds: f64,
    /// Wall time of fitting the head.
    pub fitting_seconds: f64,
}

/// Trains, and writes the folder `target`, all of it or nothing: the model of a sentence-transformers folder and
/// the files of [`ClassifierFile`]. What lies in a target that is there stays beside them.
///
/// # Errors
/// Whatever is wrong with the base model or the settings, a diverged tuning, a full disk.
pub fn train(
    training: &Training<'_>,
    target: &Path,
    listeners: &mut Listeners<'_>,
) -> Result<Trained, ClassifyError> {
    let mut trained = None;
    write_folder(target, |folder| {
        trained = Some(train_into(folder, training, listeners)?);
        Ok::<(), ClassifyError>(())
    })?;
    Ok(trained.expect("written, and so trained"))
}

fn train_into(
    folder: &Path,
    training: &Training<'_>,
    listeners: &mut Listeners<'_>,
) -> Result<Trained, ClassifyError> {
    let examples = training.examples;
    let (base, tuning_seconds) = timed(|| put_model(folder, training, listeners))?;
    let PutModel {
        tuned,
        expected_prompts,
    } = base;
    let (encoded, encoding_seconds) = timed(|| Ok(encode(folder, training, listeners)?))?;
    let (x, classes) = (encoded.embeddings.view(), examples.classes.len());
    let (fit, fitting_seconds) = timed(|| {
        Ok(LogisticHead::fit(
            x,
            &examples.labels,
            classes,
            &training.head,
        ))
    })?;
    let record = record(training, tuned, &fit);
    let settings = ClassifierFile::new(
        examples.classes.clone(),
        fit.head.dim(),
        training.normalize_embeddings,
        record,
    );
    head_files::write(folder, &settings, &fit.head)?;
    card::write(folder, &settings)?;
    Ok(Trained {
        labels: examples.classes.clone(),
        examples: examples.len(),
        tuned,
        truncated: encoded.truncated,
        missing_prompts: expected_prompts
            .filter(|expected| expected.are_missing(Role::Plain, &examples.texts)),
        iterations: fit.iterations,
        gradient: fit.gradient,
        converged: fit.converged,
        tuning_seconds,
        encoding_seconds,
        fitting_seconds,
    })
}

/// What `work` gives, and its seconds.
fn timed<T>(work: impl FnOnce() -> Result<T, ClassifyError>) -> Result<(T, f64), ClassifyError> {
    let start = Instant::now();
    Ok((work()?, start.elapsed().as_secs_f64()))
}

/// The model under the head, as it was put into the folder.
struct PutModel {
    /// Pairs tuned on, and optimizer steps; `None` for a probe.
    tuned: Option<(PairCounts, u64)>,
    /// What the base model wants before its texts and no default prompt gives.
    expected_prompts: Option<ExpectedPrompts>,
}

/// Puts the model under the head into the folder.
fn put_model(
    folder: &Path,
    training: &Training<'_>,
    listeners: &mut Listeners<'_>,
) -> Result<PutModel, ClassifyError> {
    let &Training {
        model,
        revision,
        precision,
        data,
        seed,
        ..
    } = training;
    match &training.method {
        Method::Probe => Ok(PutModel {
            tuned: None,
            expected_prompts: copy(folder, training, listeners.downloads)?,
        }),
        Method::FewShot(options) => {
            let tuning = Tuning {
                model,
                revision,
                precision,
                seed,
                options,
                data,
                folder,
            };
            let tuned = tune(
                &tuning,
                training.examples,
                listeners.downloads,
                listeners.tuning,
            )?;
            Ok(PutModel {
                tuned: Some((tuned.pairs, tuned.steps)),
                expected_prompts: tuned.expected_prompts,
            })
        }
    }
}

/// The base model as it is, in the layout that every reader loads. Gives what [`unmet_prompts`] does.
fn copy(
    folder: &Path,
    training: &Training<'_>,
    downloads: &dyn HubProgress,
) -> Result<Option<ExpectedPrompts>, ModelError> {
    let options = HubOptions {
        revision: training.revision.map(str::to_owned),
        ..HubOptions::from_env()
    };
    let path = resolve(training.model, &options, downloads)?;
    let source = SentenceEncoder::open_for_training(&path, matryo_ops::cpu(), &[])?;
    let params = source.network().params();
    let card = std::fs::read_to_string(path.join("README.md")).ok();
    save(
        folder,
        source.folder(),
        params,
        &SaveOptions {
            card: card.as_deref(),
            ..SaveOptions::default()
        },
    )?;
    Ok(unmet_prompts(source.folder()))
}

/// Embeddings of the examples by the model in the folder.
fn encode(
    folder: &Path,
    training: &Training<'_>,
    listeners: &Listeners<'_>,
) -> Result<Encoded, ModelError> {
    let model = SentenceEncoder::open_on(folder, cpu_in(training.precision))?;
    let options = EncodeOptions {
        normalize: training.normalize_embeddings,
        progress: listeners.encoding,
        ..EncodeOptions::default()
    };
    model.encode_with(&training.examples.texts, &options)
}

fn record(
    training: &Training<'_>,
    tuned: Option<(PairCounts, u64)>,
    fit: &Fit,
) -> Map<String, Value> {
    let method = if tuned.is_some() { "few-shot" } else { "probe" };
    let data = training
        .data
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let mut record = Map::new();
    let mut set = |key: &str, value: Value| drop(record.insert(key.to_owned(), value));
    set("method", json!(method));
    set("model", json!(training.model));
    set("data", json!(data));
    set("examples", json!(training.examples.len()));
    set("seed", json!(training.seed));
    if let (Method::FewShot(options), Some((pairs, steps))) = (training.method, tuned) {
        options
            .record()
            .into_iter()
            .for_each(|(key, value)| set(&key, value));
        set("positive_pairs", json!(pairs.positive));
        set("negative_pairs", json!(pairs.negative));
        set("steps", json!(steps));
    }
    set("C", json!(training.head.c));
    set("max_iter", json!(training.head.max_iter));
    set("tol", json!(training.head.tol));
    set("iterations", json!(fit.iterations));
    set("converged", json!(fit.converged));
    set("matryo", json!(env!("CARGO_PKG_VERSION")));
    record
}
