//! One flag for each key of a training configuration, made from the table that also checks the file.

use std::{ffi::OsString, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use matryo_train::{KeyInfo, TrainConfig, config::Kind};

/// A configuration file, and keys that win over it.
#[derive(Clone, Debug, Default)]
pub struct TrainArgs {
    /// The TOML file.
    pub config: Option<PathBuf>,
    /// (key, value) as given on the command line.
    pub overrides: Vec<(String, String)>,
}

const ABOUT: &str = "\
Fine-tune a model.

Keys stand in CONFIG, a flat TOML file, or are given as flags, which win over it. A key may be written with - for _. \
Lists are written 768,512.

On a terminal, standard error shows a bar and tables. Elsewhere it gets a JSON object a line, by \"event\":

  download   file, bytes
  plan       model, dim, parameters, trainable, max_seq_length, rows,
             columns, queries, documents, loss, dims, batches_per_epoch,
             steps, warmup_steps, resumed_step, precision, device,
             threads, memory (bytes at the peak, predicted: total, and
             its parts), notes
  warning    text
  step       step, total, epoch, loss, learning_rate, grad_norm,
             tokens_per_second, remaining_seconds
  evaluated  step, epoch, metrics
             (as {\"dim_256\": {\"cosine_ndcg@10\": 0.71, ...}, ...})
  saved      path
  done       output_dir, steps, saved_step, best_metric, best_value,
             before, after (metrics as above), train_loss,
             training_seconds, evaluation_seconds

The result, on standard output, is the path of the model folder; with --json it is the object \"done\".";

impl Args for TrainArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("CONFIG")
            .value_parser(value_parser!(PathBuf))
            .help("Training configuration in TOML");
        let command = command
            .about("Fine-tune a model")
            .long_about(ABOUT)
            .arg(config);
        command
            .next_help_heading("Keys")
            .args(TrainConfig::keys().iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for TrainArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |key: &KeyInfo| {
            Some((
                key.name.to_owned(),
                matches.get_one::<String>(key.name)?.clone(),
            ))
        };
        Ok(Self {
            config: matches.get_one("CONFIG").cloned(),
            overrides: TrainConfig::keys().iter().filter_map(value).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn flag(key: &KeyInfo) -> Arg {
    let dashed = key.name.replace('_', "-");
    let arg = Arg::new(key.name)
        .long(key.name)
        .action(ArgAction::Set)
        .value_name(value_name(key.kind))
        .allow_negative_numbers(true)
        .help(help(key));
    if dashed == key.name {
        arg
    } else {
        arg.alias(dashed)
    }
}

fn help(key: &KeyInfo) -> String {
    match key.default {
        "" => key.help.to_owned(),
        default => format!("{} [default: {default}]", key.help),
    }
}

fn value_name(kind: Kind) -> String {
    match kind {
        Kind::Flag => "true|false".into(),
        Kind::Choice(words) => words.join("|"),
        Kind::Texts => "TEXT,...".into(),
        Kind::Sizes => "N,...".into(),
        Kind::Weights => "X,...".into(),
        Kind::Integer(_) => "N".into(),
        Kind::CountOr(word) => format!("N|{word}"),
        Kind::FlagOrPath => "true|false|PATH".into(),
        Kind::Table => "{COLUMN=TEXT,...}".into(),
        Kind::Text | Kind::Prompts => "TEXT".into(),
        _ => "X".into(),
    }
}

/// Takes the flags of `matryo train` that clap does not know out of the arguments, as (key, value), so that the
/// configuration judges them as it judges the keys of a file: harmless, refused with its reason, or unknown with the
/// nearest key. `known` says which flags clap knows.
pub fn set_aside(
    arguments: impl Iterator<Item = OsString>,
    known: impl Fn(&str) -> bool,
) -> (Vec<OsString>, Vec<(String, String)>) {
    let (mut kept, mut aside) = (Vec::new(), Vec::new());
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        let (name, value) = text
            .split_once('=')
            .map_or((&*text, None), |(name, value)| (name, Some(value)));
        match name.strip_prefix("--") {
            Some(name) if !name.is_empty() && !known(name) => {
                let mut next =
                    || arguments.next_if(|next| !next.to_string_lossy().starts_with("--"));
                let value = value
                    .map(str::to_owned)
                    .or_else(|| Some(next()?.to_string_lossy().into_owned()));
                aside.push((
                    name.replace('-', "_"),
                    value.unwrap_or_else(|| "true".into()),
                ));
            }
            _ => kept.push(argument.clone()),
        }
    }
    (kept, aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(arguments: &[&str]) -> (Vec<OsString>, Vec<(String, String)>) {
        set_aside(arguments.iter().map(OsString::from), |name| {
            ["seed", "json"].contains(&name)
        })
    }

    #[test]
    fn unknown_flags_become_keys_with_their_values() {
        let (kept, aside) = split(&[
            "c.toml",
            "--seed",
            "1",
            "--bf16",
            "false",
            "--fp-16=True",
            "--tf32",
            "--json",
        ]);
        assert_eq!(kept, ["c.toml", "--seed", "1", "--json"]);
        let pairs: Vec<_> = aside
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(pairs, ["bf16=false", "fp_16=True", "tf32=true"]);
    }
}
