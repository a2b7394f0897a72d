//! `matryo info`: what a model is, and how it runs here.

use clap::Args;
use matryo_model::{ModelFolder, SentenceEncoder, SimilarityFn, limit};
use serde::Serialize;

use super::{Context, Outcome};
use crate::{
    args::{ModelArgs, PrecisionArgs},
    error::CliError,
    model,
    progress::grouped,
    stdout, table,
};

/// Tell what a model is and how it runs here.
#[derive(Debug, Args)]
pub struct InfoArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    precision: PrecisionArgs,
}

/// The facts, in the order to show.
#[derive(Debug, Serialize)]
struct Info {
    path: String,
    architecture: String,
    modules: Vec<String>,
    parameters: usize,
    dim: usize,
    truncate_dim: Option<usize>,
    /// `None` without a limit.
    max_seq_length: Option<usize>,
    prompts: serde_json::Map<String, serde_json::Value>,
    default_prompt_name: Option<String>,
    similarity: &'static str,
    device: String,
    threads: usize,
    precision: String,
    notes: Vec<String>,
}

/// Opens the model, so that what is told has been checked, and prints.
pub fn run(args: &InfoArgs, context: &Context) -> Result<Outcome, CliError> {
    let model = model::open_silently(&args.model, args.precision, &context.console)?;
    let info = Info::of(&model)?;
    if context.json {
        stdout::print_json(&info)?;
    } else {
        let text = table::pairs(&info.lines());
        stdout::print(|out| std::io::Write::write_all(out, text.as_bytes()))?;
    }
    Ok(Outcome::Done)
}

impl Info {
    fn of(model: &SentenceEncoder) -> Result<Self, CliError> {
        let folder = model.folder();
        let settings = &folder.settings;
        Ok(Self {
            path: folder.path.display().to_string(),
            architecture: architecture(folder),
            modules: folder.summaries(),
            parameters: parameters(folder)?,
            dim: folder.dim(),
            truncate_dim: settings.truncate_dim,
            max_seq_length: limit(model.max_seq_length()),
            prompts: settings
                .prompts
                .iter()
                .map(|(name, text)| (name.clone(), text.clone().into()))
                .collect(),
            default_prompt_name: settings.default_prompt_name.clone(),
            similarity: settings
                .similarity
                .map_or("cosine (default)", SimilarityFn::name),
            device: model.network().ops().describe(),
            threads: rayon::current_num_threads(),
            precision: model.network().ops().describe_precision(),
            notes: notes(folder),
        })
    }

    fn lines(&self) -> Vec<(String, String)> {
        let mut lines = vec![
            ("model", self.path.clone()),
            ("architecture", self.architecture.clone()),
        ];
        lines.push(("modules", self.modules.join(", ")));
        lines.push(("parameters", grouped(self.parameters as u64)));
        lines.push(("dimensions", self.describe_dim()));
        let longest = self.max_seq_length.map(|tokens| format!("{tokens} tokens"));
        lines.push(("longest text", longest.unwrap_or("no limit".into())));
        lines.extend(
            self.prompts
                .iter()
                .map(|(name, text)| ("prompt", format!("{name}: {text}"))),
        );
        lines.extend(
            self.default_prompt_name
                .iter()
                .map(|name| ("default prompt", name.clone())),
        );
        lines.push(("similarity", self.similarity.to_owned()));
        lines.push(("device", self.device.clone()));
        lines.push(("threads", self.threads.to_string()));
        lines.push(("precision", self.precision.to_owned()));
        lines.extend(self.notes.iter().map(|note| ("note", note.clone())));
        lines
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn describe_dim(&self) -> String {
        self.truncate_dim.map_or_else(
            || self.dim.to_string(),
            |kept| format!("{kept} (the first of {})", self.dim),
        )
    }
}

/// What was assumed, and what the model wants before texts unless it has a default for that.
fn notes(folder: &ModelFolder) -> Vec<String> {
    let expected = match folder.settings.default_prompt_name {
        Some(_) => None,
        None => folder.expected_prompts(),
    };
    let expected = expected.map(|expected| expected.note());
    folder.notes.iter().cloned().chain(expected).collect()
}

/// `bert, 12 layers, width 768, 12 heads, intermediate 3072, vocabulary 30522`, as far as config.json says it; without an encoder the class of
/// the module that reads texts. Of a model with routes their names.
fn architecture(folder: &ModelFolder) -> String {
    const SIZES: [(&str, &str); 5] = [
        ("num_hidden_layers", "layers"),
        ("hidden_size", "wide"),
        ("num_attention_heads", "heads"),
        ("intermediate_size", "intermediate"),
        ("vocab_size", "tokens in the vocabulary"),
    ];
    if let Some(routes) = &folder.routes {
        return format!("routes {}", routes.names.join(", "));
    }
    if folder.encoder_config().is_null() {
        return folder.modules[0].module.class().to_owned();
    }
    let size = |(key, word): (&str, &str)| {
        Some(format!(
            "{} {word}",
            grouped(folder.encoder_config()[key].as_u64()?)
        ))
    };
    let mut parts = vec![
        folder.encoder_config()["model_type"]
            .as_str()
            .unwrap_or("unknown")
            .to_owned(),
    ];
    parts.extend(SIZES.into_iter().filter_map(size));
    parts.join(", ")
}

/// Values in all weight files, also those that embeddings do not need, such as a pooler.
fn parameters(folder: &ModelFolder) -> Result<usize, CliError> {
    let mut total = 0;
    for index in folder.weighted_modules() {
        let checkpoint = folder.checkpoint(index)?;
        let sizes = checkpoint
            .names()
            .into_iter()
            .filter_map(|name| checkpoint.shape(name));
        total += sizes
            .map(|shape| shape.iter().product::<usize>())
            .sum::<usize>();
    }
    Ok(total)
}
