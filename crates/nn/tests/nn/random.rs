//! Model folders with random weights in any size: encoder and mean pooling, no tokenizer. A family's config.json is that of its tiny model
//! in `testkit`; which tensors it needs, and in which shapes, is read off the errors of opening it without them.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::Path,
    sync::Arc,
};

use matryo_nn::{ModulePlace, Network, NnError, TablePlace, default_modules};
use matryo_testkit::{FamilyGolden, json, pseudo_random, read_safetensors};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// Sizes of a random model.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub dim: usize,
    pub heads: usize,
    pub inner: usize,
    pub blocks: usize,
    pub vocab: usize,
    /// Tokens of the longest text, at least.
    pub positions: usize,
}

/// Rows of a position table that no token reads, in the families that count from behind the padding token.
const ROWS_BEFORE_THE_FIRST: usize = 8;

type Shapes = BTreeMap<String, Vec<usize>>;

/// Every family that a random model can have, and one of those that differ in nothing but their tokenizers.
pub fn families() -> Vec<String> {
    let mut known = Vec::new();
    let mut families = Vec::new();
    for family in FamilyGolden::all() {
        let tensors = read_safetensors(family.model().join("model.safetensors"));
        let names: Vec<String> = tensors.into_keys().collect();
        let config = json(&family.model(), "config.json");
        let kind = (names, config["max_position_embeddings"].clone());
        if !known.contains(&kind) {
            known.push(kind);
            families.push(family.name);
        }
    }
    families
}

/// Writes a model of a family.
pub fn model(family: &str, sizes: Sizes) -> TempDir {
    model_with(family, sizes, json!({}))
}

/// As [`model`], with further keys in config.json.
pub fn model_with(family: &str, sizes: Sizes, extra: Value) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let all = FamilyGolden::all().into_iter();
    let golden = all.into_iter().find(|golden| golden.name == family);
    let mut config = json(&golden.unwrap().model(), "config.json");
    let map = config.as_object_mut().unwrap();
    resize(map, sizes);
    map.extend(extra.as_object().unwrap().clone());
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let shapes = needed(dir.path());
    write(dir.path(), &shapes, random);
    dir
}

/// The modules of such a folder.
pub fn places(dir: &Path) -> Vec<ModulePlace> {
    let modules = default_modules(dir, &mut Vec::new()).unwrap();
    let place = |(index, module): (usize, Arc<dyn matryo_nn::Module>)| ModulePlace {
        module,
        dir: dir.to_owned(),
        route: None,
        known_as: index.to_string(),
    };
    modules.into_iter().enumerate().map(place).collect()
}

/// Puts the sizes under whatever keys the family has for them.
fn resize(config: &mut Map<String, Value>, sizes: Sizes) {
    for (keys, value) in [
        (&["hidden_size", "dim", "d_model"][..], sizes.dim),
        (
            &["num_attention_heads", "n_heads", "num_heads"],
            sizes.heads,
        ),
        (&["d_kv", "attention_head_size"], sizes.dim / sizes.heads),
        (
            &["num_hidden_layers", "n_layers", "num_layers"],
            sizes.blocks,
        ),
        (&["intermediate_size", "hidden_dim", "d_ff"], sizes.inner),
        (&["embedding_size"], sizes.dim * 3 / 4),
        (&["vocab_size"], sizes.vocab),
        (
            &["max_position_embeddings"],
            sizes.positions + ROWS_BEFORE_THE_FIRST,
        ),
        // Some texts are longer than the window, some are not.
        (&["local_attention"], 32),
    ] {
        for key in keys {
            if let Some(stated) = config.get_mut(*key) {
                *stated = json!(value);
            }
        }
    }
    // As many as there are blocks, which the defaults see to.
    config.remove("layer_types");
    config.remove("sliding_window");
}

/// The tensors that a folder's config.json asks for.
fn needed(dir: &Path) -> Shapes {
    let mut shapes = Shapes::new();
    loop {
        write(dir, &shapes, |_, _, _| Vec::new());
        let tables = TablePlace::Mapped;
        match Network::for_inference(&places(dir), matryo_ops::cpu(), tables) {
            Ok(_) => return shapes,
            Err(NnError::MissingTensor { name, .. }) => shapes.insert(name, vec![0]),
            Err(
                NnError::WeightShape { name, expected, .. }
                | NnError::TensorShape { name, expected, .. },
            ) => shapes.insert(name, expected),
            Err(other) => panic!("{other}"),
        };
    }
}

/// Values of the size that weights of the tensor's width have; scales near 1.
fn random(seed: u64, name: &str, shape: &[usize]) -> Vec<u8> {
    let random = pseudo_random(shape.iter().product(), seed + 1);
    let value = |x: f32| match shape[..] {
        [_] if name.ends_with("weight") => 1.0 + 0.2 * x,
        [_] => 0.2 * x,
        _ => x * 2.0 / (shape[1] as f32).sqrt(),
    };
    random
        .into_iter()
        .flat_map(|x| value(x).to_le_bytes())
        .collect()
}

/// Writes a safetensors file of `f32`. Where `bytes` gives none, values are 0 and take no room on the disk.
fn write(dir: &Path, shapes: &Shapes, bytes: impl Fn(u64, &str, &[usize]) -> Vec<u8>) {
    let mut header = Map::new();
    let mut end = 0;
    for (name, shape) in shapes {
        let start = end;
        end += size_of::<f32>() * shape.iter().product::<usize>();
        let place = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]});
        header.insert(name.clone(), place);
    }
    let header = Value::Object(header).to_string();
    let header = format!("{header:width$}", width = header.len().next_multiple_of(8));
    let mut file = File::create(dir.join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes())
        .unwrap();
    file.write_all(header.as_bytes()).unwrap();
    for (seed, (name, shape)) in shapes.iter().enumerate() {
        file.write_all(&bytes(seed as u64, name, shape)).unwrap();
    }
    file.set_len((8 + header.len() + end) as u64).unwrap();
}
