//! Rows scaled to length 1, with the way back for gradients.

use matryo_ops::{Mat, MatRef, Ops};

/// Rows of length 1 and the lengths they had.
pub(crate) struct UnitRows {
    rows: Mat,
    norms: Vec<f32>,
}

impl UnitRows {
    /// Scales a copy of `rows`.
    pub(crate) fn new(ops: &dyn Ops, mut rows: Mat) -> Self {
        let mut norms = vec![0.0; rows.rows()];
        ops.normalize(rows.view_mut(), &mut norms);
        Self { rows, norms }
    }

    /// The scaled rows.
    pub(crate) fn view(&self) -> MatRef<'_> {
        self.rows.view()
    }

    /// Turns a gradient with respect to the scaled rows into one with respect to the rows as they were, in place.
    pub(crate) fn backward(&self, ops: &dyn Ops, d: &mut Mat) {
        ops.normalize_bwd(d.view_mut(), self.rows.view(), &self.norms);
    }
}
