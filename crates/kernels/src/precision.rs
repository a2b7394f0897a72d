//! How exactly linear layers are multiplied, and what that makes of the operands on a given instruction set.

use crate::Level;

/// Arithmetic of the products of linear layers, forward and backward. Whatever it is, sums over slices of up to 1,024 steps are added
/// up in `f32`, and activations, residuals, normalisation, softmax and gradients are `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Single precision: the reference.
    #[default]
    F32,
    /// Each operand as the sum of two bf16 (16 bits of mantissa), the three leading products of the parts, where matrix units make that
    /// faster than `F32`; else `F32`. Relative error of an operand: at most 2^-16.
    F32x3,
    /// Operands rounded to bf16 (8 bits of mantissa). Relative error of an operand: at most 2^-8.
    Bf16,
    /// Operands as 16-bit integers with one scale a row (of the left operand), or column (of the right one), and slice of up to 1,024
    /// steps. Products and their sums are exact: the scale makes the Euclidean norm of a row or column at most 2^15.5, so by
    /// the Cauchy-Schwarz inequality no sum leaves 32 bits. Error of an operand, in units of a row's root mean square: 2e-4.
    Int16,
}

/// How products are calculated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arithmetic {
    /// With which instructions.
    pub level: Level,
    /// How exactly.
    pub precision: Precision,
}

/// What operands are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As they are.
    F32,
    /// `f32` that are rounded to bf16, for processors without fast bf16 instructions: the product of two bf16 is exact in `f32`.
    Rounded,
    /// Pairs of bf16.
    Bf16,
    /// Pairs of 16-bit integers, and scales.
    Int16,
    /// Pairs of bf16 in tiles for AMX.
    Tiles,
    /// The same with each operand in two parts: `[hi, hi, mid]` times `[hi, mid, hi]`, three times the steps.
    Tiles3,
}

impl Precision {
    /// All.
    pub const ALL: [Self; 4] = [Self::F32, Self::F32x3, Self::Bf16, Self::Int16];

    /// `f32`, `f32x3`, `bf16` or `int16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F32x3 => "f32x3",
            Self::Bf16 => "bf16",
            Self::Int16 => "int16",
        }
    }

    /// The precision of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|precision| precision.name() == name)
    }

    /// The fastest whose vectors are those of the Python libraries within 1e-5.
    pub fn best(level: Level) -> Self {
        if level == Level::Amx { Self::F32x3 } else { Self::F32 }
    }
}

impl From<Level> for Arithmetic {
    /// Single precision.
    fn from(level: Level) -> Self {
        Self { level, precision: Precision::F32 }
    }
}

impl Arithmetic {
    pub(crate) fn format(self) -> Format {
        match (self.precision, self.level) {
            (Precision::F32x3, Level::Amx) => Format::Tiles3,
            (Precision::F32 | Precision::F32x3, _) => Format::F32,
            (Precision::Bf16, Level::Amx) => Format::Tiles,
            (Precision::Bf16, Level::Avx512Bf16) => Format::Bf16,
            (Precision::Bf16, _) => Format::Rounded,
            (Precision::Int16, _) => Format::Int16,
        }
    }
}

impl Format {
    /// Values in a word of 32 bits.
    pub(crate) fn values_per_word(self) -> usize {
        match self {
            Self::F32 | Self::Rounded => 1,
            Self::Bf16 | Self::Int16 | Self::Tiles | Self::Tiles3 => 2,
        }
    }

    /// How often a value is stored.
    pub(crate) fn parts(self) -> usize {
        if self == Self::Tiles3 { 3 } else { 1 }
    }

    /// Whether the tiles of AMX multiply it.
    pub(crate) fn is_tiled(self) -> bool {
        matches!(self, Self::Tiles | Self::Tiles3)
    }

    /// Words of a part of a slice are a multiple of this.
    pub(crate) fn step(self) -> usize {
        if self.is_tiled() { 16 } else { 1 }
    }
}
