//! Model folders with random weights in any size: encoder and mean pooling, no tokenizer.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use matryo_nn::{ModulePlace, default_modules};
use matryo_testkit::pseudo_random;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Sizes of a random model.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub dim: usize,
    pub heads: usize,
    pub inner: usize,
    pub blocks: usize,
    pub vocab: usize,
    pub positions: usize,
}

/// Families that a random model can have.
pub const FAMILIES: [&str; 2] = ["bert", "modernbert"];

/// Writes a model of a family.
pub fn model(family: &str, sizes: Sizes) -> TempDir {
    model_with(family, sizes, json!({}))
}

/// As [`model`], with further keys in config.json.
pub fn model_with(family: &str, sizes: Sizes, extra: Value) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut config = json!({
        "model_type": family,
        "vocab_size": sizes.vocab,
        "hidden_size": sizes.dim,
        "num_hidden_layers": sizes.blocks,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.inner,
        "max_position_embeddings": sizes.positions,
        "type_vocab_size": 2,
        "pad_token_id": 0,
        "local_attention": 32,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    });
    for (key, value) in extra.as_object().unwrap() {
        config[key] = value.clone();
    }
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let tensors = match family {
        "bert" => post_norm(sizes),
        _ => pre_norm(sizes),
    };
    write(dir.path(), &tensors);
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

type Shapes = Vec<(String, Vec<usize>)>;

fn linear(shapes: &mut Shapes, name: &str, out: usize, input: usize) {
    shapes.push((format!("{name}.weight"), vec![out, input]));
    shapes.push((format!("{name}.bias"), vec![out]));
}

fn norm(shapes: &mut Shapes, name: &str, width: usize) {
    shapes.push((format!("{name}.weight"), vec![width]));
    shapes.push((format!("{name}.bias"), vec![width]));
}

fn post_norm(sizes: Sizes) -> Shapes {
    let (dim, mut shapes) = (sizes.dim, Shapes::new());
    for (table, rows) in [
        ("word", sizes.vocab),
        ("position", sizes.positions),
        ("token_type", 2),
    ] {
        let name = format!("embeddings.{table}_embeddings.weight");
        shapes.push((name, vec![rows, dim]));
    }
    norm(&mut shapes, "embeddings.LayerNorm", dim);
    for block in 0..sizes.blocks {
        let layer = |name: &str| format!("encoder.layer.{block}.{name}");
        for part in ["query", "key", "value"] {
            let name = layer(&format!("attention.self.{part}"));
            linear(&mut shapes, &name, dim, dim);
        }
        linear(&mut shapes, &layer("attention.output.dense"), dim, dim);
        norm(&mut shapes, &layer("attention.output.LayerNorm"), dim);
        linear(&mut shapes, &layer("intermediate.dense"), sizes.inner, dim);
        linear(&mut shapes, &layer("output.dense"), dim, sizes.inner);
        norm(&mut shapes, &layer("output.LayerNorm"), dim);
    }
    shapes
}

fn pre_norm(sizes: Sizes) -> Shapes {
    let (dim, mut shapes) = (sizes.dim, Shapes::new());
    let mut push = |name: String, shape: Vec<usize>| shapes.push((name, shape));
    push(
        "embeddings.tok_embeddings.weight".into(),
        vec![sizes.vocab, dim],
    );
    push("embeddings.norm.weight".into(), vec![dim]);
    for block in 0..sizes.blocks {
        let layer = |name: &str| format!("layers.{block}.{name}.weight");
        if block > 0 {
            push(layer("attn_norm"), vec![dim]);
        }
        push(layer("attn.Wqkv"), vec![3 * dim, dim]);
        push(layer("attn.Wo"), vec![dim, dim]);
        push(layer("mlp_norm"), vec![dim]);
        push(layer("mlp.Wi"), vec![2 * sizes.inner, dim]);
        push(layer("mlp.Wo"), vec![dim, sizes.inner]);
    }
    push("final_norm.weight".into(), vec![dim]);
    shapes
}

/// Random values of the size that weights of the tensor's width have; scales near 1.
fn write(dir: &Path, shapes: &Shapes) {
    let data: BTreeMap<&str, (Vec<usize>, Vec<u8>)> = shapes
        .iter()
        .enumerate()
        .map(|(seed, (name, shape))| {
            let random = pseudo_random(shape.iter().product(), seed as u64 + 1);
            let value = |x: f32| match shape[..] {
                [_] if name.ends_with("weight") => 1.0 + 0.2 * x,
                [_] => 0.2 * x,
                _ => x * 2.0 / (shape[1] as f32).sqrt(),
            };
            let bytes = random.into_iter().flat_map(|x| value(x).to_le_bytes());
            (&**name, (shape.clone(), bytes.collect()))
        })
        .collect();
    let views = data.iter().map(|(name, (shape, bytes))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (*name, view)
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    fs::write(dir.join("model.safetensors"), bytes).unwrap();
}
