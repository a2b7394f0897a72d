//! NumPy's .npy, format 1.0: a magic string, a header that is a Python literal, then the values.
//! Layout: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::io::{self, Write};

use matryo_model::Quantized;

use super::values;

/// Magic string and version.
const MAGIC: &[u8; 8] = b"\x93NUMPY\x01\x00";
/// Values begin at a multiple of this.
const ALIGNMENT: usize = 64;

/// Writes a matrix `[rows, cols]` of `<f4`, `|i1` or `|u1`.
pub fn write(out: &mut impl Write, embeddings: &Quantized) -> io::Result<()> {
    let (rows, cols) = values::shape(embeddings);
    let dtype = match embeddings {
        Quantized::Float32(_) => "<f4",
        Quantized::Int8 { .. } => "|i1",
        Quantized::Uint8 { .. } => "|u1",
    };
    out.write_all(&header(dtype, rows, cols))?;
    values::write_bytes(out, embeddings)
}

fn header(dtype: &str, rows: usize, cols: usize) -> Vec<u8> {
    let mut literal =
        format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({rows}, {cols}), }}");
    let fixed = MAGIC.len() + size_of::<u16>();
    let total = (fixed + literal.len() + 1).next_multiple_of(ALIGNMENT);
    let padding = total - fixed - literal.len() - 1;
    literal.extend(std::iter::repeat_n(' ', padding));
    literal.push('\n');
    let length = u16::try_from(literal.len()).expect("a header of a few hundred bytes");
    [MAGIC.as_slice(), &length.to_le_bytes(), literal.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `numpy.save` 2.x writes for `numpy.zeros((2, 3), "<f4")`.
    #[test]
    fn the_header_is_numpys() {
        let expected =
            b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        let header = header("<f4", 2, 3);
        assert_eq!(header.len(), 128);
        assert_eq!(&header[..expected.len()], expected);
        assert!(header[expected.len()..127].iter().all(|byte| *byte == b' '));
        assert_eq!(header[127], b'\n');
    }
}
