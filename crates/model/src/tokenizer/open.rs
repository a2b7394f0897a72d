//! The tokenizer's files: tokenizer.json or vocab.txt, and what tokenizer_config.json changes about them.

use std::path::Path;

use matryo_base::StandIn;
use matryo_nn::{NnError, config::Object};
use tokenizers::{
    ModelWrapper, NormalizerWrapper, PostProcessorWrapper, TruncationDirection, TruncationParams,
    normalizers::{Lowercase, Sequence},
};

use super::vocab;
use crate::ModelError;

/// tokenizer.json of a folder, made from vocab.txt if there is none, with a length at which it cuts texts if one is given.
pub(crate) fn tokenizer_json(dir: &Path, cut: Option<usize>) -> Result<String, ModelError> {
    let config = match cut {
        // A static model's, see `Tokenizer::open`.
        Some(_) => None,
        None => Object::read_if_present(&dir.join("tokenizer_config.json"))?,
    };
    let mut inner = open_inner(dir, config.as_ref())?;
    if let Some(max_length) = cut {
        let own = inner.get_truncation().cloned();
        let truncation = TruncationParams {
            max_length,
            stride: 0,
            ..own.unwrap_or_default()
        };
        // The crate leaves room for the template's tokens, which a static model does not have.
        let template = inner.get_post_processor().cloned();
        inner.with_post_processor(None::<PostProcessorWrapper>);
        let cut = inner.with_truncation(Some(truncation));
        cut.map_err(failed(dir))?;
        inner.with_post_processor(template);
    }
    inner.to_string(true).map_err(failed(dir))
}

/// The crate's tokenizer of a folder, with the settings of tokenizer_config.json.
pub(super) fn open_inner(
    dir: &Path,
    config: Option<&Object>,
) -> Result<tokenizers::Tokenizer, ModelError> {
    let json = dir.join("tokenizer.json");
    let mut inner = if json.exists() {
        let inner = tokenizers::Tokenizer::from_file(&json).map_err(failed(&json))?;
        deny_dropout(&inner, &json)?;
        inner
    } else if dir.join("vocab.txt").exists() {
        vocab::open(dir, config)?
    } else {
        return Err(no_tokenizer(dir));
    };
    if let (Some(NormalizerWrapper::BertNormalizer(bert)), Some(config)) =
        (inner.get_normalizer(), config)
    {
        let configured = configure(*bert, config)?;
        inner
            .with_normalizer(Some(configured))
            .map_err(failed(dir))?;
    }
    Ok(inner)
}

/// BPE dropout (Provilkov et al. 2020) leaves out merges by chance: a text would get other tokens each time.
fn deny_dropout(inner: &tokenizers::Tokenizer, path: &Path) -> Result<(), NnError> {
    let ModelWrapper::BPE(model) = inner.get_model() else {
        return Ok(());
    };
    match model.dropout {
        Some(rate) if rate > 0.0 => Err(NnError::ConfigValue {
            path: path.to_owned(),
            key: "model.dropout".into(),
            found: rate.to_string(),
            expected: "null, so that a text has the same tokens each time".into(),
        }),
        _ => Ok(()),
    }
}

/// Vocabularies of sentencepiece, from which tokenizer.json has to be made in Python.
const SENTENCEPIECE: [&str; 4] = [
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
    "tokenizer.model",
];

fn no_tokenizer(dir: &Path) -> ModelError {
    let folder = dir.to_owned();
    match SENTENCEPIECE.iter().find(|file| dir.join(file).exists()) {
        Some(file) => ModelError::SentencePieceOnly { folder, file },
        None => ModelError::Nn(NnError::MissingFile {
            folder,
            file: "tokenizer.json".into(),
        }),
    }
}

/// transformers' BERT tokenizers take these settings from tokenizer_config.json, even when tokenizer.json differs.
fn configure(
    mut bert: tokenizers::normalizers::BertNormalizer,
    config: &Object,
) -> Result<tokenizers::normalizers::BertNormalizer, ModelError> {
    const GENERIC: [&str; 2] = ["PreTrainedTokenizerFast", "TokenizersBackend"];
    if config
        .text("tokenizer_class")?
        .is_some_and(|class| GENERIC.contains(&class))
    {
        return Ok(bert);
    }
    bert.lowercase = config.flag("do_lower_case")?.unwrap_or(bert.lowercase);
    bert.strip_accents = config.flag("strip_accents")?.or(bert.strip_accents);
    bert.handle_chinese_chars = config
        .flag("tokenize_chinese_chars")?
        .unwrap_or(bert.handle_chinese_chars);
    Ok(bert)
}

/// Lower-casing put before the normalizer there is, unless that already begins by lower-casing.
pub(super) fn lower_first(normalizer: Option<&NormalizerWrapper>) -> NormalizerWrapper {
    let parts: Vec<NormalizerWrapper> = match normalizer {
        None => Vec::new(),
        Some(NormalizerWrapper::Sequence(sequence)) => sequence.as_ref().to_vec(),
        Some(other) => vec![other.clone()],
    };
    let lower = NormalizerWrapper::Lowercase(Lowercase);
    let has_it = parts
        .iter()
        .any(|part| matches!(part, NormalizerWrapper::Lowercase(_)));
    let parts = if has_it {
        parts
    } else {
        std::iter::once(lower).chain(parts).collect()
    };
    NormalizerWrapper::Sequence(Sequence::new(parts))
}

/// The end at which long texts are cut: tokenizer_config.json, else tokenizer.json, else the right.
pub(super) fn truncation_side(
    inner: &tokenizers::Tokenizer,
    config: Option<&Object>,
) -> Result<TruncationDirection, ModelError> {
    let own = inner
        .get_truncation()
        .map_or(TruncationDirection::Right, |t| t.direction);
    let Some(config) = config else { return Ok(own) };
    match config.text("truncation_side")? {
        None => Ok(own),
        Some("right") => Ok(TruncationDirection::Right),
        Some("left") => Ok(TruncationDirection::Left),
        Some(_) => Err(config
            .wrong("truncation_side", "\"left\" or \"right\"")
            .into()),
    }
}

/// The error of a tokenizer's file; what stands in for one is named.
pub(super) fn failed(path: &Path) -> impl FnOnce(tokenizers::Error) -> ModelError {
    let path = path.to_owned();
    move |source| match StandIn::at(&path) {
        Some(found) => NnError::StandIn { path, found }.into(),
        None => ModelError::Tokenizer { path, source },
    }
}
