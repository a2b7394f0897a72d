//! The record of a run: every fact the card states, as plain data that JSON keeps.

use matryo_model::ModelFolder;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Architecture, Compat, DatasetCard, EvalDatasetCard, Hardware, WidgetExample};

/// A model and, if it was trained here, how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CardData {
    /// Which version of sentence-transformers the card follows in wording and column order.
    pub compat: Compat,
    /// Heading of the card; `None` names the model after its base.
    pub model_name: Option<String>,
    /// `org/name` under which the model will be found, for the usage snippets.
    pub model_id: Option<String>,
    /// Codes like `en`.
    pub language: Vec<String>,
    /// An identifier like `apache-2.0`.
    pub license: Option<String>,
    /// What it was tuned from.
    pub base_model: Option<BaseModel>,
    /// What it is.
    pub architecture: Architecture,
    /// How it was made; `None` if this program does not know.
    pub training: Option<Training>,
}

/// The model that training started from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaseModel {
    /// As the user named it: `org/name` or a folder.
    pub name: String,
    /// Commit on the hub.
    pub revision: Option<String>,
    /// Whether `name` is a hub name, and so may be linked and stand in the card's metadata.
    pub on_hub: bool,
    /// SHA-256 of its weights.
    pub weights_sha256: Option<String>,
}

/// A training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The loss.
    pub loss: LossCard,
    /// What it learnt from.
    pub dataset: DatasetCard,
    /// What it was measured on.
    pub eval_dataset: Option<EvalDatasetCard>,
    /// Reports of the base model, empty if it was not evaluated.
    pub before: Vec<ReportCard>,
    /// Reports during training, in order of time.
    pub evaluations: Vec<Evaluation>,
    /// Training losses as logged, in order of time.
    pub losses: Vec<LossRow>,
    /// Optimizer step whose weights are in the folder.
    pub saved_step: u64,
    /// How that step was chosen; `None` if it is simply the last.
    pub best: Option<BestCheckpoint>,
    /// All settings of the run, in the order to show.
    pub hyperparameters: Vec<Hyperparameter>,
    /// Where it ran.
    pub hardware: Hardware,
    /// How long it took.
    pub times: Times,
    /// (program, version), this one first.
    pub versions: Vec<(String, String)>,
    /// (what for, seed).
    pub seeds: Vec<(String, u64)>,
    /// SHA-256 of the saved weights.
    pub weights_sha256: Option<String>,
    /// Texts of the data to try the model with.
    pub widget: Vec<WidgetExample>,
    /// Similarities of the first widget example, `[source]` against its sentences, by the saved model.
    pub usage_similarities: Option<Vec<f32>>,
}

/// The loss as the card names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossCard {
    /// Class names from the outside in; never empty.
    pub names: Vec<String>,
    /// Parameters with upstream's keys.
    pub config: Value,
    /// (heading, BibTeX entry).
    pub citations: Vec<(String, String)>,
}

/// One evaluation during training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Epochs done.
    pub epoch: f64,
    /// Optimizer steps done.
    pub step: u64,
    /// One report a dimension (or one in all).
    pub reports: Vec<ReportCard>,
}

/// What one evaluator measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportCard {
    /// Upstream's class name: `InformationRetrievalEvaluator`.
    pub evaluator: String,
    /// The task in words: `Information Retrieval`.
    pub task: String,
    /// `dim_256`, or empty.
    pub name: String,
    /// Key of the metric that ranks checkpoints.
    pub primary: String,
    /// The evaluator's parameters; null if there are none to tell.
    pub config: Value,
    /// (key, value) in upstream's order.
    pub metrics: Vec<(String, f64)>,
}

impl ReportCard {
    /// A retrieval report; `truncate_dim` is the width it was measured at, if not the model's own.
    pub fn information_retrieval(
        report: &matryo_eval::Report,
        truncate_dim: Option<usize>,
    ) -> Self {
        Self {
            evaluator: "InformationRetrievalEvaluator".to_owned(),
            task: "Information Retrieval".to_owned(),
            name: report.name.clone(),
            primary: report.primary.clone(),
            config: truncate_dim.map_or(
                Value::Null,
                |dim| serde_json::json!({ "truncate_dim": dim }),
            ),
            metrics: report.metrics.clone(),
        }
    }

    /// Value of the metric that ranks checkpoints.
    pub fn primary_value(&self) -> Option<f64> {
        self.metrics
            .iter()
            .find(|(key, _)| *key == self.primary)
            .map(|(_, value)| *value)
    }

    /// The primary key with the report's name in front: `dim_256_cosine_ndcg@10`.
    pub fn primary_key(&self) -> String {
        if self.name.is_empty() {
            self.primary.clone()
        } else {
            format!("{}_{}", self.name, self.primary)
        }
    }
}

/// One logged training loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossRow {
    /// Epochs done.
    pub epoch: f64,
    /// Optimizer steps done.
    pub step: u64,
    /// Mean loss since the row before.
    #[serde(deserialize_with = "null_is_nan")]
    pub loss: f64,
}

/// JSON has no NaN and writes null; a diverged run must still have a readable record.
fn null_is_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The checkpoint that was kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestCheckpoint {
    /// The metric that chose it.
    pub metric: String,
    /// Its value there.
    pub value: f64,
    /// Whether greater is better.
    pub greater_is_better: bool,
}

/// One setting of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hyperparameter {
    /// Its key in the configuration.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Whether the value is what the key has when nobody sets it.
    pub is_default: bool,
}

/// Wall time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Seconds of training, without evaluation.
    pub training: f64,
    /// Seconds of evaluation.
    pub evaluation: f64,
}

impl CardData {
    /// What is known of a model that was not trained here: its folder.
    pub fn untrained(folder: &ModelFolder) -> Self {
        let path = folder
            .path
            .canonicalize()
            .unwrap_or_else(|_| folder.path.clone());
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        Self {
            compat: Compat::Current,
            model_name: name,
            model_id: None,
            language: Vec::new(),
            license: None,
            base_model: None,
            architecture: Architecture::of(folder),
            training: None,
        }
    }

    /// The heading.
    pub fn name(&self) -> String {
        match (&self.model_name, &self.base_model) {
            (Some(name), _) => name.clone(),
            (None, Some(base)) => format!("SentenceTransformer based on {}", base.name),
            (None, None) => "SentenceTransformer".to_owned(),
        }
    }

    /// Reports that describe the saved weights; empty if nothing was measured.
    pub fn reports(&self) -> &[ReportCard] {
        let evaluation = self.training.as_ref().and_then(Training::saved_evaluation);
        evaluation.map_or(&[], |evaluation| &evaluation.reports)
    }

    /// Texts to try the model with.
    pub(super) fn widget(&self) -> &[WidgetExample] {
        self.training
            .as_ref()
            .map_or(&[], |training| &training.widget)
    }

    /// Whether texts are queries or documents, as sentence-transformers tells it since 5.0: by the model's routes and prompts, the
    /// columns that it was trained on, or how it was measured.
    pub(crate) fn is_retrieval(&self) -> bool {
        const COLUMNS: [&str; 2] = ["query", "question"];
        let mut columns = self.training.iter().flat_map(|t| &t.dataset.columns);
        let mut reports = self.reports().iter();
        self.compat == Compat::Current
            && (self.architecture.has_roles
                || columns.any(|column| COLUMNS.contains(&column.name.as_str()))
                || reports.any(|report| report.evaluator == "InformationRetrievalEvaluator"))
    }
}

impl Training {
    /// The evaluation that describes the saved weights: at their step, else the last one before them.
    pub fn saved_evaluation(&self) -> Option<&Evaluation> {
        self.evaluations
            .iter()
            .rev()
            .find(|evaluation| evaluation.step <= self.saved_step)
    }
}
