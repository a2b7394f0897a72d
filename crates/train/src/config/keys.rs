//! The table of settings: name, type and range, default, help. Everything about a key is in its row.

use serde_json::Value;

use super::Kind;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct KeyInfo {
    /// Its key in the file and, with two dashes in front, its flag.
    pub name: &'static str,
    /// One line about it.
    pub help: &'static str,
    /// Its default in TOML, empty if there is none.
    pub default: &'static str,
    /// Its type and range.
    pub kind: Kind,
    /// Whether a run needs it.
    pub required: bool,
}

impl KeyInfo {
    /// The default as it is kept; null if there is none.
    pub(super) fn default_value(&self) -> Value {
        self.kind
            .read(self.default)
            .filter(|_| !self.default.is_empty())
            .and_then(|v| self.kind.accept(v))
            .unwrap_or_default()
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> KeyInfo {
    KeyInfo {
        name,
        help,
        default,
        kind,
        required: false,
    }
}

const fn required(name: &'static str, kind: Kind, help: &'static str) -> KeyInfo {
    KeyInfo {
        name,
        help,
        default: "",
        kind,
        required: true,
    }
}

const INFINITY: f64 = f64::INFINITY;
const STRATEGIES: Kind = Kind::Choice(&["no", "epoch", "steps"]);
const SIMILARITIES: Kind = Kind::Choice(&["cos_sim", "dot_score"]);
const PRECISIONS: Kind = Kind::Choice(&["f32", "f32x3", "bf16", "int16"]);
const SCHEDULERS: Kind = Kind::Choice(&[
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
]);

/// All settings, in the order to show. Defaults of keys that upstream has are upstream's.
#[rustfmt::skip]
pub(super) static KEYS: &[KeyInfo] = &[
    required("model", Kind::Text, "Base model: a folder, or org/name on the Hugging Face hub"),
    key("model_revision", Kind::Text, "", "Branch, tag or commit of the base model on the hub"),
    required("train_data", Kind::Text, "Training data: .jsonl, .csv, .tsv or .parquet, also .gz and .zst"),
    key("columns", Kind::Texts, "", "Columns to train on, in this order, which decides their roles; default: all, as they lie in the file"),
    key("ignore_columns", Kind::Texts, "[]", "Columns of the file to leave out"),
    key("eval_data", Kind::Text, "", "Evaluation data: a BEIR folder (corpus.jsonl, queries.jsonl, qrels) or a file of pairs"),
    required("output_dir", Kind::Text, "Folder for the model, its card, the checkpoints and the metrics"),
    key("overwrite_output_dir", Kind::Flag, "false", "Write into output_dir although it is not empty"),
    key("layout", Kind::Choice(&["old", "new"]), "old", "Form of the model folder: old loads everywhere, new needs sentence-transformers 5.4"),
    key("loss", Kind::Text, "MultipleNegativesRankingLoss", "Loss, by upstream's class name"),
    key("scale", Kind::Above(0.0, INFINITY), "20.0", "Factor on the similarities in the loss"),
    key("similarity_fct", SIMILARITIES, "cos_sim", "Similarity in the loss"),
    key("matryoshka_dims", Kind::Sizes, "", "Widths at which the embedding is to work; wraps the loss in MatryoshkaLoss"),
    key("matryoshka_weights", Kind::Weights, "", "Weight of each of the widths; default: 1 each"),
    key("n_dims_per_step", Kind::Integer(-1), "-1", "Widths drawn at random for each batch; -1: all of them"),
    key("prompts", Kind::Prompts, "", "Text put before every text of a column, { column = text }, or one text for all"),
    key("router_mapping", Kind::Table, "", "Route of the texts of a column, { column = route }, for a model with routes"),
    key("max_seq_length", Kind::Integer(1), "", "Longest text in tokens, special ones counted; default: the model's"),
    key("freeze", Kind::Texts, "[]", "Parameters to leave as they are, by name, * stands for anything"),
    key("num_train_epochs", Kind::Above(0.0, INFINITY), "3.0", "Passes over the training data"),
    key("max_steps", Kind::Integer(-1), "-1", "Optimizer steps; above 0 it overrides num_train_epochs"),
    key("per_device_train_batch_size", Kind::Integer(1), "8", "Rows in a training batch, which share their in-batch negatives"),
    key("per_device_eval_batch_size", Kind::Integer(1), "8", "Texts encoded at once in an evaluation; no effect on the result"),
    key("gradient_accumulation_steps", Kind::Integer(1), "1", "Training batches to one optimizer step"),
    key("learning_rate", Kind::Number(0.0, INFINITY), "5e-5", "Highest learning rate"),
    key("learning_rate_mapping", Kind::Rates, "", "Other learning rates, { pattern = rate }, of parameters whose names match as Python's re.search has it; the last match counts"),
    key("weight_decay", Kind::Number(0.0, INFINITY), "0.0", "AdamW's decoupled weight decay, not on biases and norms"),
    key("adam_beta1", Kind::Number(0.0, 0.999_999_999), "0.9", "Decay of AdamW's first moment"),
    key("adam_beta2", Kind::Number(0.0, 0.999_999_999), "0.999", "Decay of AdamW's second moment"),
    key("adam_epsilon", Kind::Number(0.0, INFINITY), "1e-8", "Added to the root of AdamW's second moment"),
    key("max_grad_norm", Kind::Number(0.0, INFINITY), "1.0", "Longest gradient, longer ones are scaled down; 0: no limit"),
    key("lr_scheduler_type", SCHEDULERS, "linear", "How the learning rate changes over the steps"),
    key("warmup_ratio", Kind::Number(0.0, 1.0), "", "Share of the steps over which the learning rate rises from 0"),
    key("warmup_steps", Kind::Number(0.0, INFINITY), "0", "Steps over which the learning rate rises from 0; below 1 a share of all steps"),
    key("eval_strategy", STRATEGIES, "no", "When to evaluate"),
    key("eval_steps", Kind::Steps, "", "Steps from one evaluation to the next; below 1 a share of all steps; default: logging_steps"),
    key("eval_on_start", Kind::Flag, "false", "Evaluate the base model first"),
    key("save_strategy", STRATEGIES, "steps", "When to write a checkpoint"),
    key("save_steps", Kind::Steps, "500", "Steps from one checkpoint to the next; below 1 a share of all steps"),
    key("save_total_limit", Kind::Integer(1), "", "Most checkpoints to keep; the best is never deleted"),
    key("logging_steps", Kind::Steps, "500", "Steps from one entry of the log to the next; below 1 a share of all steps"),
    key("logging_first_step", Kind::Flag, "false", "Log the first step as well"),
    key("load_best_model_at_end", Kind::Flag, "false", "Write the best checkpoint as the final model, not the last"),
    key("metric_for_best_model", Kind::Text, "", "Metric that ranks checkpoints, as dim_128_cosine_ndcg@10"),
    key("greater_is_better", Kind::Flag, "", "Whether that metric should be high; default: unless its name ends in loss"),
    key("batch_sampler", Kind::Choice(&["batch_sampler", "no_duplicates"]), "batch_sampler", "How rows become batches; no_duplicates: no text twice in a batch"),
    key("dataloader_drop_last", Kind::Flag, "false", "Leave out a last batch that is not full"),
    key("seed", Kind::Integer(0), "42", "Seed of dropout and of everything else that is random"),
    key("data_seed", Kind::Integer(0), "", "Seed of the order of the rows with batch_sampler; default: seed. no_duplicates has an order of its own, as upstream"),
    key("resume_from_checkpoint", Kind::FlagOrPath, "false", "true: go on from the last checkpoint in output_dir; or a path"),
    key("compat", Kind::Choice(&["5.7", "3.0"]), "5.7", "Version of sentence-transformers to follow in order, accumulation, primary metric and card"),
    key("precision", PRECISIONS, "", "How exactly linear layers are multiplied; default: the fastest here within 1e-5 of the Python libraries"),
    key("bf16", Kind::Flag, "false", "The same as precision = bf16"),
    key("tokens_per_batch", Kind::Integer(1), "2048", "Tokens that go through the encoder at once; bounds memory, not the batch of the loss"),
    key("retain", Kind::CountOr("all"), "all", "Such encoder batches that keep their activations; the others are computed twice: less memory, same result"),
    key("model_name", Kind::Text, "", "Heading of the model card"),
    key("model_id", Kind::Text, "", "org/name under which the model will be published, for the card"),
    key("language", Kind::Texts, "[]", "Languages for the card: en"),
    key("license", Kind::Text, "", "Licence for the card: apache-2.0"),
    key("dataset_name", Kind::Text, "", "Name of the training data for the card"),
];
