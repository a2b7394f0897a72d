//! The facts of a run for the model card, taken from what really happened.

use matryo_data::ColumnTokens;
use matryo_eval::Report;
use matryo_losses::Loss;

use crate::{
    Trainer,
    card::{
        Architecture, BaseModel, BestCheckpoint, CardData, DatasetCard, EvalDatasetCard,
        Evaluation, Hardware, Hyperparameter, LossCard, LossRow, ReportCard, Training,
        TruncatedShare, WidgetExample, widget_examples,
    },
    config::TrainConfig,
    measure::Measure,
    progress::Progress,
    trainer::is_on_hub,
    trainer::route_of,
};

/// What is known before the first step.
pub(crate) struct Facts {
    base: BaseModel,
    architecture: Architecture,
    loss: LossCard,
    dataset: DatasetCard,
    eval_dataset: Option<EvalDatasetCard>,
    hyperparameters: Vec<Hyperparameter>,
    hardware: Hardware,
    pub widget: Vec<WidgetExample>,
}

/// What is known only of the final model.
#[derive(Default)]
pub(crate) struct Final {
    /// SHA-256 of its weights.
    pub weights_sha256: Option<String>,
}

impl Facts {
    pub fn new(trainer: &Trainer) -> Self {
        let network = trainer.model.network();
        let parameters = network.params().layout.len() as u64;
        let architecture = Architecture {
            max_seq_length: trainer.model.max_seq_length(),
            parameters: Some(parameters),
            ..Architecture::of(trainer.model.folder())
        };
        Self {
            base: base_model(trainer),
            architecture,
            loss: loss_card(&*trainer.loss),
            dataset: dataset_card(trainer),
            eval_dataset: trainer.measure.as_ref().map(eval_dataset_card),
            hyperparameters: hyperparameters(&trainer.config),
            hardware: Hardware::detect(
                rayon::current_num_threads(),
                format!("{}, f32", network.ops().describe()),
            ),
            widget: widget_examples(&trainer.data),
        }
    }

    /// The card of the weights of step `saved_step`.
    pub fn card(
        &self,
        config: &TrainConfig,
        progress: &Progress,
        saved_step: u64,
        last: Final,
    ) -> CardData {
        CardData {
            compat: config.compat,
            model_name: config.model_name.clone(),
            model_id: config.model_id.clone(),
            language: config.language.clone(),
            license: config.license.clone(),
            base_model: Some(self.base.clone()),
            architecture: self.architecture.clone(),
            training: Some(self.training(config, progress, saved_step, last)),
        }
    }

    fn training(
        &self,
        config: &TrainConfig,
        progress: &Progress,
        saved_step: u64,
        last: Final,
    ) -> Training {
        let data_seed = config.data_seed.map(|seed| ("data_seed".to_owned(), seed));
        Training {
            loss: self.loss.clone(),
            dataset: self.dataset.clone(),
            eval_dataset: self.eval_dataset.clone(),
            before: progress.base_reports().to_vec(),
            evaluations: progress
                .evaluations
                .iter()
                .filter(|evaluation| evaluation.step > 0)
                .cloned()
                .collect(),
            losses: progress.log.iter().filter_map(loss_row).collect(),
            saved_step,
            best: best(config, progress),
            hyperparameters: self.hyperparameters.clone(),
            hardware: self.hardware.clone(),
            times: progress.seconds,
            versions: vec![("matryo".to_owned(), env!("CARGO_PKG_VERSION").to_owned())],
            seeds: std::iter::once(("seed".to_owned(), config.seed))
                .chain(data_seed)
                .collect(),
            weights_sha256: last.weights_sha256,
            widget: self.widget.clone(),
            usage_similarities: None,
        }
    }
}

/// An evaluation as the card keeps it.
pub(crate) fn evaluation(
    epoch: f64,
    step: u64,
    reports: &[Report],
    measure: &Measure,
) -> Evaluation {
    let report =
        |(report, dim): (&Report, &usize)| ReportCard::information_retrieval(report, Some(*dim));
    Evaluation {
        epoch,
        step,
        reports: reports.iter().zip(&measure.dims).map(report).collect(),
    }
}

/// A report from the card's record.
pub(crate) fn report(card: &ReportCard) -> Report {
    Report {
        name: card.name.clone(),
        primary: card.primary.clone(),
        metrics: card.metrics.clone(),
    }
}

fn base_model(trainer: &Trainer) -> BaseModel {
    let name = trainer.config.model.clone();
    let on_hub = is_on_hub(&name);
    // A snapshot of the hub's cache is named after its commit.
    let commit = trainer
        .model_path
        .file_name()
        .filter(|_| on_hub)
        .map(|commit| commit.to_string_lossy().into_owned());
    BaseModel {
        name,
        revision: commit,
        on_hub,
        weights_sha256: Some(trainer.identity.model.clone()),
    }
}

fn loss_card(loss: &dyn Loss) -> LossCard {
    let owned = |(heading, entry): (&str, &str)| (heading.to_owned(), entry.to_owned());
    LossCard {
        names: loss.names().into_iter().map(ToOwned::to_owned).collect(),
        config: loss.config(),
        citations: loss.citations().into_iter().map(owned).collect(),
    }
}

fn dataset_card(trainer: &Trainer) -> DatasetCard {
    let (model, config) = (&trainer.model, &trainer.config);
    let pipeline = model.pipeline();
    let count = |column: &str, text: &str| {
        let Ok(route) = route_of(config, pipeline, column) else {
            return 0;
        };
        let limit = pipeline.max_seq_length_of(route);
        let tokens = pipeline.tokenizer_of(route).encode(text, limit);
        tokens.map_or(0, |tokens| tokens.ids.len())
    };
    let fingerprint = trainer.identity.data.clone();
    let card = DatasetCard::describe(
        &trainer.data,
        config.dataset_name.clone(),
        fingerprint,
        config.compat,
        &count,
    );
    DatasetCard {
        truncated: Some(truncated_share(&trainer.tokens)),
        ..card
    }
}

fn truncated_share(columns: &[ColumnTokens]) -> TruncatedShare {
    TruncatedShare {
        texts: columns.iter().map(|column| column.texts).sum(),
        truncated: columns.iter().map(|column| column.truncated).sum(),
    }
}

fn eval_dataset_card(measure: &Measure) -> EvalDatasetCard {
    EvalDatasetCard {
        name: measure.path.display().to_string(),
        queries: measure.queries,
        documents: measure.documents,
        relevant: measure.relevant,
        fingerprint: measure.fingerprint.clone(),
        truncated: None,
    }
}

fn hyperparameters(config: &TrainConfig) -> Vec<Hyperparameter> {
    let hyperparameter = |(name, value, is_default): (&str, _, _)| Hyperparameter {
        name: name.to_owned(),
        value,
        is_default,
    };
    config.settings().into_iter().map(hyperparameter).collect()
}

fn loss_row(entry: &serde_json::Map<String, serde_json::Value>) -> Option<LossRow> {
    let number = |key: &str| entry.get(key)?.as_f64();
    Some(LossRow {
        epoch: number("epoch")?,
        step: number("step")? as u64,
        loss: number("loss")?,
    })
}

fn best(config: &TrainConfig, progress: &Progress) -> Option<BestCheckpoint> {
    let metric = config
        .metric_for_best_model
        .clone()
        .filter(|_| config.load_best_model_at_end)?;
    progress.best.checkpoint?;
    Some(BestCheckpoint {
        metric,
        value: progress.best.value?,
        greater_is_better: config.greater_is_better(),
    })
}
