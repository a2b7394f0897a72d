//! Which files of a model on the hub are needed: configurations, tokenizer, modules and safetensors, nothing else.

/// Files of the transformer's folder, weights apart.
const SMALL: [&str; 15] = [
    "README.md",
    "added_tokens.json",
    "config.json",
    "config_sentence_transformers.json",
    "merges.txt",
    "modules.json",
    "router_config.json",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "spm.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.txt",
];

const SINGLE: &str = "model.safetensors";
const SHARD_INDEX: &str = "model.safetensors.index.json";

/// The needed ones among `files`, in their order. Shards are left out where the whole is in one file.
pub(super) fn needed<'a>(files: &[&'a str]) -> Vec<&'a str> {
    let beside = |folder: &str, name: &str| files.contains(&&*format!("{folder}{name}"));
    let wanted = |file: &&str| match split(file) {
        Some((folder, name)) if is_weights(name) => name == SINGLE || !beside(folder, SINGLE),
        Some((_, name)) => is_small(name),
        None => false,
    };
    files.iter().copied().filter(wanted).collect()
}

/// The pickle that holds the weights of a model without safetensors.
pub(super) fn pickle_only<'a>(files: &[&'a str]) -> Option<&'a str> {
    let has_weights = files
        .iter()
        .any(|file| split(file).is_some_and(|(_, name)| is_weights(name)));
    let pickle = files
        .iter()
        .copied()
        .find(|file| file.rsplit('/').next() == Some("pytorch_model.bin"));
    pickle.filter(|_| !has_weights)
}

/// Folder (with its slash) and name, if the file lies in the model's folder or in that of a module: `1_Pooling`, of a route
/// `query_0_Transformer`, also inside of a Router's, `1_Router/query_0_Dense`.
fn split(file: &str) -> Option<(&str, &str)> {
    match file.rsplit_once('/') {
        None => Some(("", file)),
        Some((folder, name))
            if folder.split('/').count() <= 2 && folder.split('/').all(is_module_folder) =>
        {
            Some((&file[..=folder.len()], name))
        }
        Some(_) => None,
    }
}

/// Whether a name is a number and a class with an underscore between them, possibly behind the name of a route.
fn is_module_folder(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || " _-".contains(c);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = name.split('_').rev();
    let class = parts.next().unwrap_or_default();
    !class.is_empty() && name.chars().all(plain) && parts.any(is_number)
}

fn is_small(name: &str) -> bool {
    let module = name.starts_with("sentence_") && name.ends_with("_config.json");
    let vocab_of_bpe = name == "vocab.json";
    SMALL.contains(&name) || module || vocab_of_bpe
}

/// `model.safetensors`, its index of shards, or a shard `model-00001-of-00002.safetensors`.
fn is_weights(name: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let shard = name
        .strip_prefix("model-")
        .and_then(|rest| rest.strip_suffix(".safetensors"));
    let is_shard = shard
        .and_then(|s| s.split_once("-of-"))
        .is_some_and(|(i, n)| number(i) && number(n));
    name == SINGLE || name == SHARD_INDEX || is_shard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typical_model() {
        let files = [
            ".gitattributes",
            "1_Pooling/config.json",
            "2_Normalize/config.json",
            "README.md",
            "config.json",
            "model.safetensors",
            "modules.json",
            "onnx/model.onnx",
            "onnx/config.json",
            "openvino/openvino_model.bin",
            "pytorch_model.bin",
            "sentence_bert_config.json",
            "tf_model.h5",
            "tokenizer.json",
            "vocab.txt",
            "model_quint8.safetensors",
        ];
        let needed = needed(&files);
        assert_eq!(
            needed,
            [
                "1_Pooling/config.json",
                "2_Normalize/config.json",
                "README.md",
                "config.json",
                "model.safetensors",
                "modules.json",
                "sentence_bert_config.json",
                "tokenizer.json",
                "vocab.txt",
            ]
        );
        assert_eq!(pickle_only(&files), None);
    }

    #[test]
    fn shards_only_without_the_whole() {
        let shards = [
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
        ];
        assert_eq!(needed(&shards), shards);
        let both = [&shards[..], &["model.safetensors"]].concat();
        assert_eq!(needed(&both), ["model.safetensors"]);
        assert_eq!(needed(&["2_Dense/model.safetensors", shards[0]]).len(), 2);
    }

    #[test]
    fn routes_have_folders_of_their_own() {
        let files = [
            "1_Router/query_0_Dense/model.safetensors",
            "document_0_Transformer/model.safetensors",
            "modules.json",
            "query_0_StaticEmbedding/tokenizer.json",
            "router_config.json",
        ];
        assert_eq!(needed(&files), files);
        assert_eq!(
            needed(&["a/b/query_0_Dense/config.json", "query_Dense/config.json"]),
            [""; 0]
        );
    }

    #[test]
    fn hostile_paths_are_left_out() {
        assert_eq!(
            needed(&[
                "../config.json",
                "/config.json",
                "1_/../config.json",
                "..\\config.json",
                "1_A/b/config.json"
            ]),
            [""; 0]
        );
    }

    #[test]
    fn pickles_are_noticed() {
        assert_eq!(
            pickle_only(&["config.json", "pytorch_model.bin"]),
            Some("pytorch_model.bin")
        );
        assert_eq!(
            pickle_only(&["2_Dense/pytorch_model.bin", "model.safetensors"]),
            None
        );
    }
}
