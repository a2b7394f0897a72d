//! Weights in shards, in halves, and broken in every way a file can be.

use std::{fs, path::Path};

use matryo_nn::{Checkpoint, NnError};
use matryo_testkit::{copy_of_tiny, put};
use safetensors::{Dtype, serialize, tensor::TensorView};
use serde_json::json;
use tempfile::TempDir;

const FILE: &str = "model.safetensors";

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn write(path: &Path, tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (
            *name,
            TensorView::new(*dtype, shape.to_vec(), bytes).unwrap(),
        )
    });
    fs::write(path, serialize(views, None).unwrap()).unwrap();
}

fn error(folder: &TempDir) -> NnError {
    Checkpoint::open(folder.path()).unwrap_err()
}

fn read(checkpoint: &Checkpoint, name: &str, shape: &[usize]) -> Result<Vec<f32>, NnError> {
    let mut out = vec![0.0; shape.iter().product()];
    checkpoint.read(name, shape, &mut out).map(|()| out)
}

#[test]
fn shards_are_one_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    write(
        &folder.path().join("s1.safetensors"),
        &[("a", Dtype::F32, &[2], floats(&[1.0, 2.0]))],
    );
    write(
        &folder.path().join("s2.safetensors"),
        &[("b", Dtype::F32, &[1], floats(&[3.0]))],
    );
    let map = json!({"a": "s1.safetensors", "b": "s2.safetensors"});
    put(
        folder.path(),
        "model.safetensors.index.json",
        &json!({"metadata": {}, "weight_map": map}),
    );
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.names(), ["a", "b"]);
    assert_eq!(read(&checkpoint, "a", &[2]).unwrap(), [1.0, 2.0]);
    assert_eq!(read(&checkpoint, "b", &[1]).unwrap(), [3.0]);
    put(
        folder.path(),
        "model.safetensors.index.json",
        &json!({"weight_map": {"c": "s1.safetensors"}}),
    );
    assert!(matches!(error(&folder), NnError::MissingTensor { name, .. } if name == "c"));
    for shard in ["../s1.safetensors", "..", ".", ""] {
        let index = json!({"weight_map": {"a": shard}});
        put(folder.path(), "model.safetensors.index.json", &index);
        assert!(matches!(error(&folder), NnError::ConfigValue { key, .. } if key == "weight_map"));
    }
    put(
        folder.path(),
        "model.safetensors.index.json",
        &json!({"weight_map": {"a": "s3.safetensors"}}),
    );
    assert!(error(&folder).to_string().contains("s3.safetensors"));
}

#[test]
fn rows_of_half_precision_tables() {
    let folder = tempfile::tempdir().unwrap();
    let table: Vec<u8> = (0..6_u16)
        .flat_map(|i| half::bf16::from_f32(f32::from(i)).to_le_bytes())
        .collect();
    write(
        &folder.path().join(FILE),
        &[
            ("t", Dtype::BF16, &[3, 2], table),
            ("v", Dtype::F32, &[1], floats(&[0.0])),
        ],
    );
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let mut rows = [0.0; 4];
    checkpoint.read_rows("t", &[2, 0], &mut rows).unwrap();
    assert_eq!(rows, [4.0, 5.0, 0.0, 1.0]);
    let error = checkpoint.read_rows("t", &[0, 3], &mut rows).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("token id 3 is outside of tensor `t` with 3 rows"),
        "{error}"
    );
    assert!(matches!(
        checkpoint.read_rows("v", &[], &mut []),
        Err(NnError::TensorRank { .. })
    ));
}

#[test]
fn a_wrong_shape_names_file_found_and_expected() {
    let folder = copy_of_tiny();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let error = read(
        &checkpoint,
        "encoder.layer.0.output.dense.weight",
        &[32, 65],
    )
    .unwrap_err();
    let expected = format!(
        "tensor `encoder.layer.0.output.dense.weight` has shape [32, 64], expected [32, 65]\n  in {}",
        folder.path().join(FILE).display()
    );
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().is_some());
}

#[test]
fn a_missing_tensor_names_the_nearest() {
    let checkpoint = Checkpoint::open(copy_of_tiny().path()).unwrap();
    let error = read(&checkpoint, "bert.pooler.dense.bias", &[32]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("tensor `bert.pooler.dense.bias` is missing"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("pooler.dense.bias"));
}

#[test]
fn integers_are_no_weights() {
    let folder = tempfile::tempdir().unwrap();
    write(
        &folder.path().join(FILE),
        &[("a", Dtype::I32, &[1], vec![0; 4])],
    );
    let error = read(&Checkpoint::open(folder.path()).unwrap(), "a", &[1]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("tensor `a` has dtype I32, expected F32, F16 or BF16"),
        "{error}"
    );
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let folder = copy_of_tiny();
    let bytes = fs::read(folder.path().join(FILE)).unwrap();
    for length in [0, 7, 8, 9, 500, 5_000, bytes.len() / 2, bytes.len() - 1] {
        fs::write(folder.path().join(FILE), &bytes[..length]).unwrap();
        match error(&folder) {
            NnError::FileLength {
                found, expected, ..
            } => {
                assert!(
                    found == length as u64 && expected > found,
                    "{found} {expected}"
                );
            }
            other => panic!("{length}: {other}"),
        }
    }
    fs::write(folder.path().join(FILE), [&bytes[..], b"x"].concat()).unwrap();
    assert!(
        matches!(error(&folder), NnError::FileLength { found, expected, .. } if found == expected + 1)
    );
}

/// A file of the given header and as many bytes of data.
fn with_header(folder: &TempDir, header: &str, data: usize) {
    let bytes = [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &vec![0; data],
    ]
    .concat();
    fs::write(folder.path().join(FILE), bytes).unwrap();
}

#[test]
fn hostile_headers_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let headers = [
        ("{", 8),
        ("[]", 8),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,0]}}"#,
            8,
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
            4,
        ),
        (
            r#"{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#,
            4,
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            4,
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
            12,
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#,
            0,
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}}"#,
            4,
        ),
    ];
    for (header, data) in headers {
        with_header(&folder, header, data);
        let error = error(&folder);
        assert!(
            matches!(
                error,
                NnError::Safetensors { .. } | NnError::FileLength { .. }
            ),
            "{header}: {error}"
        );
        assert!(error.to_string().contains(FILE));
    }
    fs::write(
        folder.path().join(FILE),
        [&u64::MAX.to_le_bytes()[..], b"{}"].concat(),
    )
    .unwrap();
    assert!(matches!(error(&folder), NnError::Safetensors { .. }));
}

#[test]
fn pickles_and_nothing_at_all() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(error(&folder), NnError::MissingFile { file, .. } if file == FILE));
    fs::write(folder.path().join("pytorch_model.bin"), b"").unwrap();
    let error = error(&folder);
    assert!(matches!(&error, NnError::PickledWeights { .. }), "{error}");
    assert!(error.hint().unwrap().contains("matryo convert"));
}

#[test]
fn weights_of_other_programs_are_named() {
    for name in [
        "model-q8.gguf",
        "onnx/model.onnx",
        "openvino/openvino_model.bin",
        "tf_model.h5",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
        let error = error(&folder);
        assert!(
            matches!(&error, NnError::OtherWeights { file, .. } if file == name),
            "{error}"
        );
    }
}
