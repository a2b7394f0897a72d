//! Quantised embeddings equal those of sentence-transformers 5.7.0 (`quantize_embeddings`), value for value.
//!
//! `golden/quantize.safetensors`: 16 rows and 30 columns of real embeddings, one column constant.

use matryo_model::{Quantization, Quantized, Ranges, quantize};
use matryo_ops::Mat;
use safetensors::SafeTensors;

const GOLDEN: &[u8] = include_bytes!("../golden/quantize.safetensors");

fn floats(name: &str) -> Mat {
    let golden = SafeTensors::deserialize(GOLDEN).unwrap();
    let tensor = golden.tensor(name).unwrap();
    let values = tensor
        .data()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    Mat::from_vec(tensor.shape()[0], tensor.shape()[1], values)
}

#[track_caller]
fn assert_golden(name: &str, precision: Quantization, ranges: Option<&Ranges>) {
    let golden = SafeTensors::deserialize(GOLDEN).unwrap();
    let expected = golden.tensor(name).unwrap();
    let (shape, bytes) = match quantize(floats("x"), precision, ranges) {
        Quantized::Int8 { rows, cols, data } => (
            [rows, cols],
            data.iter().map(|v| v.cast_unsigned()).collect(),
        ),
        Quantized::Uint8 { rows, cols, data } => ([rows, cols], data),
        Quantized::Float32(_) => panic!("not quantised"),
    };
    assert_eq!(shape, expected.shape(), "{name}");
    assert_eq!(bytes, expected.data(), "{name}");
}

#[test]
fn ranges_from_the_embeddings_themselves() {
    assert_golden("int8", Quantization::Int8, None);
    assert_golden("uint8", Quantization::Uint8, None);
}

#[test]
fn ranges_from_calibration_embeddings() {
    let first = floats("x").view().row_range(0, 6).to_mat();
    assert_golden(
        "int8_calibrated",
        Quantization::Int8,
        Some(&Ranges::of(&first)),
    );
    assert_golden(
        "uint8_calibrated",
        Quantization::Uint8,
        Some(&Ranges::of(&first)),
    );
}

#[test]
fn given_ranges_clip() {
    let given = floats("ranges");
    let ranges = Ranges {
        min: given.row(0).to_vec(),
        max: given.row(1).to_vec(),
    };
    assert_golden("int8_ranges", Quantization::Int8, Some(&ranges));
    assert_golden("uint8_ranges", Quantization::Uint8, Some(&ranges));
}

#[test]
fn bits_of_a_width_that_is_no_multiple_of_eight() {
    assert_golden("binary", Quantization::Binary, None);
    assert_golden("ubinary", Quantization::Ubinary, None);
}

#[test]
fn names_go_both_ways() {
    for precision in Quantization::ALL {
        assert_eq!(precision.to_string().parse(), Ok(precision));
    }
    assert!(
        "int4"
            .parse::<Quantization>()
            .unwrap_err()
            .to_string()
            .contains("ubinary")
    );
}
