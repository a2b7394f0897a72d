//! Little-endian bytes of a tensor as `f32`.

use half::{bf16, f16};
use safetensors::Dtype;

/// Bytes of one value, `None` for a dtype that is not read.
pub fn value_size(dtype: Dtype) -> Option<usize> {
    match dtype {
        Dtype::F32 => Some(4),
        Dtype::F16 | Dtype::BF16 => Some(2),
        _ => None,
    }
}

/// Converts `bytes` into `out`; both hold the same number of values, and `dtype` has a [`value_size`].
pub fn to_f32(dtype: Dtype, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        Dtype::F32 => convert(bytes, out, f32::from_le_bytes),
        Dtype::F16 => convert(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => convert(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
        other => unreachable!("{other} has no value size"),
    }
}

fn convert<const N: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    let (values, rest) = bytes.as_chunks::<N>();
    assert!(
        rest.is_empty() && values.len() == out.len(),
        "{} bytes for {} values",
        bytes.len(),
        out.len()
    );
    for (out, bytes) in out.iter_mut().zip(values) {
        *out = value(*bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_values_are_exact() {
        let mut out = [0.0; 3];
        let f16s: Vec<u8> = [0x3c00_u16, 0xc000, 0x0001]
            .iter()
            .flat_map(|b| b.to_le_bytes())
            .collect();
        to_f32(Dtype::F16, &f16s, &mut out);
        assert_eq!(out, [1.0, -2.0, 2.0_f32.powi(-24)]);
        let bf16s: Vec<u8> = [0x3f80_u16, 0xc049, 0x7f80]
            .iter()
            .flat_map(|b| b.to_le_bytes())
            .collect();
        to_f32(Dtype::BF16, &bf16s, &mut out);
        assert_eq!(out, [1.0, -3.140625, f32::INFINITY]);
    }
}
