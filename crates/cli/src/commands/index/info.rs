//! `matryo index info`: what a collection holds.

use clap::Args;
use matryo_collection::Info;
use serde_json::{Value, json};

use super::PlaceArgs;
use crate::{
    commands::{Context, Outcome},
    error::CliError,
    progress::grouped,
    stdout, table,
};

/// Tell what a collection holds, and which model it was made with.
#[derive(Debug, Args)]
pub struct InfoArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Prints.
pub fn run(args: &InfoArgs, context: &Context) -> Result<Outcome, CliError> {
    let info = args.place.open()?.info()?;
    if context.json {
        stdout::print_json(&as_json(&info))?;
    } else {
        let text = table::pairs(&lines(&info));
        stdout::print(|out| std::io::Write::write_all(out, text.as_bytes()))?;
    }
    Ok(Outcome::Done)
}

fn as_json(info: &Info) -> Value {
    let mut value = json!(info.manifest);
    value["documents"] = info.documents.into();
    value["points"] = info.points.into();
    value["indexed_vectors"] = info.indexed_vectors.into();
    value["segments"] = info.segments.into();
    value["bytes"] = info.bytes.into();
    value
}

fn lines(info: &Info) -> Vec<(String, String)> {
    let manifest = &info.manifest;
    let number = |value: usize| grouped(value as u64);
    let dims: Vec<String> = manifest.dims.iter().map(usize::to_string).collect();
    let chunking = manifest.chunking.map_or_else(
        || "documents are whole".to_owned(),
        |it| format!("{} tokens, neighbours share {}", it.tokens, it.overlap),
    );
    let mut lines = vec![
        ("model", manifest.model.name.clone()),
        ("weights", manifest.model.weights.clone()),
        ("similarity", manifest.model.similarity.clone()),
        ("dimensions", dims.join(", ")),
        ("storage", manifest.storage.to_string()),
        (
            "words",
            if manifest.hybrid {
                manifest.language.clone()
            } else {
                "none".to_owned()
            },
        ),
        ("chunks", chunking),
        ("documents", number(info.documents)),
        ("points", number(info.points)),
        ("indexed vectors", number(info.indexed_vectors)),
        ("segments", number(info.segments)),
    ];
    if let Some(bytes) = info.bytes {
        lines.push(("bytes", grouped(bytes)));
    }
    lines
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
