//! A weight packed once for many products.

use crate::{
    AlignedVec, Arithmetic, Mat, MatRef, Operand,
    pack::{self, Panels},
    slices::Slices,
};

/// A weight `[out, in]` packed for the forward product, for the arithmetic that it is used with.
pub struct PackedWeight {
    rows: usize,
    slices: Slices,
    storage: AlignedVec,
}

impl PackedWeight {
    /// Packs `w` `[out, in]`.
    pub fn new(arithmetic: impl Into<Arithmetic>, w: MatRef<'_>) -> Self {
        let arithmetic = arithmetic.into();
        let slices = Slices::new(w.cols(), arithmetic.format());
        let (words, scales) = pack::panels_len(w.rows(), slices);
        let mut storage = AlignedVec::zeros(words + scales);
        pack::pack(
            arithmetic.level,
            &mut storage,
            Operand::Transposed(w),
            slices,
        );
        Self {
            rows: w.rows(),
            slices,
            storage,
        }
    }

    /// Rows of the weight: the width of the product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the weight: the width of the input.
    pub fn cols(&self) -> usize {
        self.slices.k()
    }

    /// The weight as it is multiplied: rounded to its precision.
    pub fn unpack(&self) -> Mat {
        let panels = self.panels();
        let values = (0..self.rows).flat_map(|row| panels.column(row)).collect();
        Mat::from_vec(self.rows, self.cols(), values)
    }

    pub(crate) fn panels(&self) -> Panels<'_> {
        Panels::new(&self.storage, self.rows, self.slices)
    }
}
