//! The command line: global flags, commands, and what several commands share.

use std::{ffi::OsString, num::NonZeroUsize};

use clap::{
    Args, CommandFactory, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use matryo_model::{EncodeOptions, Quantization, Role, SimilarityFn};
use matryo_ops::Precision;

#[cfg(feature = "collections")]
use crate::commands::{index, search};
use crate::{
    commands::{
        card, classify, cluster, completions, convert, distill, duplicates, encode, eval, info,
        man, mine, save, similarity, sts, train,
    },
    console::Color,
};

/// Fine-tune, evaluate, document and use sentence-embedding models.
///
/// Results go to standard output, everything else to standard error.
/// Exit codes: 0 done, 1 a negative answer (a required quality missed), 2 an error.
#[derive(Debug, Parser)]
#[command(
    name = "matryo",
    version,
    propagate_version = true,
    max_term_width = 110
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Parses the arguments, the program's name first. Help and usage errors end the process, with 0 and 2.
    pub fn of(arguments: impl Iterator<Item = OsString>) -> Self {
        let arguments: Vec<OsString> = arguments.collect();
        let command = Self::command();
        let train = command.find_subcommand("train").expect("a command");
        if named_command(&command, &arguments).is_none_or(|name| name != "train") {
            return Self::parse_from(arguments);
        }
        let known = |name: &str| {
            name == "help" || name == "version" || has_flag(&command, name) || has_flag(train, name)
        };
        let (arguments, keys) = train::set_aside(arguments.into_iter(), known);
        let mut cli = Self::parse_from(arguments);
        if let Command::Train(train) = &mut cli.command {
            train.overrides.extend(keys);
        }
        cli
    }
}

fn has_flag(command: &clap::Command, name: &str) -> bool {
    let has = |arg: &clap::Arg| {
        arg.get_long_and_visible_aliases()
            .is_some_and(|names| names.contains(&name))
    };
    let hidden = |arg: &clap::Arg| {
        arg.get_all_aliases()
            .is_some_and(|names| names.contains(&name))
    };
    command.get_arguments().any(|arg| has(arg) || hidden(arg))
}

/// The command that the arguments name: the first that is neither a flag nor the value of a global flag.
fn named_command<'a>(command: &clap::Command, arguments: &'a [OsString]) -> Option<&'a OsString> {
    let takes_value = |flag: &str| {
        let named = |arg: &&clap::Arg| {
            arg.get_long()
                .is_some_and(|long| flag == format!("--{long}"))
        };
        command
            .get_arguments()
            .find(named)
            .is_some_and(|arg| arg.get_action().takes_values())
    };
    let mut rest = arguments.iter().skip(1);
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy();
        if takes_value(&text) {
            rest.next();
        } else if !text.starts_with('-') {
            return Some(argument);
        }
    }
    None
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Number of threads; results do not depend on it [default: all cores]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Results as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Show only errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Colour messages; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

/// What to do.
// The text of each command's help stands at its arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    Train(train::TrainArgs),
    Eval(eval::EvalArgs),
    Encode(encode::EncodeArgs),
    Similarity(similarity::SimilarityArgs),
    Classify(classify::ClassifyArgs),
    Sts(sts::StsArgs),
    Mine(mine::MineArgs),
    Duplicates(duplicates::DuplicatesArgs),
    Cluster(cluster::ClusterArgs),
    Info(info::InfoArgs),
    Card(card::CardArgs),
    Save(save::SaveArgs),
    Distill(distill::DistillArgs),
    Convert(convert::ConvertArgs),
    #[cfg(feature = "collections")]
    Index(index::IndexArgs),
    #[cfg(feature = "collections")]
    Search(search::SearchArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Which model.
#[derive(Clone, Debug, Args)]
pub struct ModelArgs {
    /// Folder of the model, or its name on the Hugging Face hub (org/name)
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// Branch, tag or commit on the hub [default: main]
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
}

/// How texts become embeddings.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Encoding")]
pub struct EncodingArgs {
    /// Text to put before every text
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_name")]
    prompt: Option<String>,
    /// Name of one of the model's prompts to put before every text
    #[arg(long, value_name = "NAME")]
    prompt_name: Option<String>,
    /// What the texts are, a search query or a passage to be found, which chooses the prompt, and
    /// the route where there are several
    #[arg(long, value_enum, value_name = "ROLE", conflicts_with_all = ["prompt", "prompt_name"])]
    role: Option<RoleName>,
    /// Route of the texts in a model with several; --role query and --role document name those
    #[arg(long, value_name = "ROUTE")]
    task: Option<String>,
    /// Keep the first N values of each embedding only
    #[arg(long, value_name = "N")]
    truncate_dim: Option<NonZeroUsize>,
    /// Longest text in tokens; what is longer is cut [default: the model's]
    #[arg(long, value_name = "N")]
    max_seq_length: Option<NonZeroUsize>,
    /// Tokens that go through the model at once; bounds memory
    #[arg(long, value_name = "N")]
    batch_tokens: Option<NonZeroUsize>,
}

/// Names of the roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    Query,
    Document,
}

impl EncodingArgs {
    /// What the library takes.
    pub fn options(&self) -> EncodeOptions<'static> {
        EncodeOptions {
            prompt: self.prompt.clone(),
            prompt_name: self.prompt_name.clone(),
            role: self.role.map_or(Role::Plain, RoleName::role),
            task: self.task.clone(),
            truncate_dim: self.truncate_dim.map(NonZeroUsize::get),
            max_seq_length: self.max_seq_length.map(NonZeroUsize::get),
            tokens_per_batch: self.batch_tokens.map(NonZeroUsize::get),
            ..EncodeOptions::default()
        }
    }
}

impl RoleName {
    fn role(self) -> Role {
        match self {
            Self::Query => Role::Query,
            Self::Document => Role::Document,
        }
    }
}

/// How exactly the model is computed.
#[derive(Clone, Copy, Debug, Args)]
pub struct PrecisionArgs {
    /// How exactly linear layers are multiplied: f32; f32x3, two bf16 a value on AMX; bf16; int16, 16-bit integers with
    /// exact sums; int8, the fastest with VNNI, 8-bit integers that stand for rotated values (vectors of bytes are made by
    /// --quantize) [default: the fastest here whose vectors are those of the Python libraries within 1e-5]
    #[arg(long, value_name = "f32|f32x3|bf16|int16|int8", value_parser = read_precision)]
    pub precision: Option<Precision>,
}

fn read_precision(name: &str) -> Result<Precision, String> {
    match (Precision::named(name), name.parse::<Quantization>()) {
        (Some(precision), _) => Ok(precision),
        (None, Ok(_)) => Err(format!(
            "{name} is a type of the values of embeddings: --quantize {name}"
        )),
        _ => Err("expected f32, f32x3, bf16, int16 or int8".to_owned()),
    }
}

/// Reads `cosine`, `dot`, `euclidean` or `manhattan`.
pub fn similarity_parser() -> impl TypedValueParser<Value = SimilarityFn> {
    PossibleValuesParser::new(SimilarityFn::ALL.map(SimilarityFn::name))
        .try_map(|name| name.parse::<SimilarityFn>())
}

/// A cosine, from -1 to 1.
pub fn read_cosine(text: &str) -> Result<f32, String> {
    let cosine = text
        .parse()
        .ok()
        .filter(|cosine| (-1.0..=1.0).contains(cosine));
    cosine.ok_or_else(|| "expected a cosine, -1 to 1".to_owned())
}

/// Reads `float32`, `int8`, `uint8`, `binary` or `ubinary`.
pub fn quantization_parser() -> impl TypedValueParser<Value = Quantization> {
    PossibleValuesParser::new(Quantization::ALL.map(Quantization::name))
        .try_map(|name| name.parse::<Quantization>())
}
