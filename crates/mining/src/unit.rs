//! Vectors of length 1, whose dot products are cosines.

use matryo_kernels::{Mat, MatRef, normalize};

use crate::MiningError;

/// A copy with rows of length 1 (of length 0 where they were); fails on a value that is not finite.
pub(crate) fn unit_rows(embeddings: MatRef<'_>) -> Result<Mat, MiningError> {
    check_finite(embeddings)?;
    let mut unit = embeddings.to_mat();
    let mut norms = vec![0.0; unit.rows()];
    normalize(unit.view_mut(), &mut norms);
    Ok(unit)
}

/// Fails with the first value that is not finite.
pub(crate) fn check_finite(embeddings: MatRef<'_>) -> Result<(), MiningError> {
    for row in 0..embeddings.rows() {
        let values = embeddings.row(row);
        if let Some(column) = values.iter().position(|value| !value.is_finite()) {
            return Err(MiningError::NotFinite {
                row,
                column,
                value: values[column],
            });
        }
    }
    Ok(())
}
