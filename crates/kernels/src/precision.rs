//! How exactly linear layers are multiplied, and what that makes of the operands on a given instruction set.

use crate::{Level, rotate};

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
    /// Of forward products alone, for encoding: operands as 8-bit integers, rotated first (`rotate.rs`), with one scale a row and slice
    /// as in `Int16`. Products and their sums are exact. Error of an operand, in units of a row's root mean square: 8e-3. Attention
    /// multiplies 16-bit integers where that is faster (`attention/integers.rs`). Gradients are those of `F32`.
    Int8,
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
    /// Quadruples of rotated 8-bit integers, those of the left operand made unsigned by [`OFFSET`], and scales.
    Bytes,
    /// The same integers as pairs of 16 bits, for processors without products of bytes: the sums are the same.
    WideBytes,
    /// [`Format::Bytes`] in tiles for AMX.
    ByteTiles,
    /// Pairs of bf16 in tiles for AMX.
    Tiles,
    /// The same with each operand in two parts: `[hi, hi, mid]` times `[hi, mid, hi]`, three times the steps.
    Tiles3,
}

/// What is added to the bytes of the left operand: the instructions multiply an unsigned by a signed byte.
pub(crate) const OFFSET: i32 = 128;

impl Precision {
    /// All.
    pub const ALL: [Self; 5] = [Self::F32, Self::F32x3, Self::Bf16, Self::Int16, Self::Int8];

    /// `f32`, `f32x3`, `bf16`, `int16` or `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F32x3 => "f32x3",
            Self::Bf16 => "bf16",
            Self::Int16 => "int16",
            Self::Int8 => "int8",
        }
    }

    /// The precision of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.name() == name)
    }

    /// The fastest whose vectors are those of the Python libraries within 1e-5.
    pub fn best(level: Level) -> Self {
        if level == Level::Amx {
            Self::F32x3
        } else {
            Self::F32
        }
    }
}

impl From<Level> for Arithmetic {
    /// Single precision.
    fn from(level: Level) -> Self {
        Self {
            level,
            precision: Precision::F32,
        }
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
            (Precision::Int8, Level::Amx) => Format::ByteTiles,
            (Precision::Int8, Level::Avx512Bf16 | Level::Avx512Vnni | Level::Avx2Vnni) => {
                Format::Bytes
            }
            (Precision::Int8, _) => Format::WideBytes,
        }
    }

    /// That of the products that make gradients.
    pub(crate) fn backward(self) -> Self {
        match self.precision {
            Precision::Int8 => Self {
                precision: Precision::F32,
                ..self
            },
            _ => self,
        }
    }
}

impl Format {
    /// Values in a word of 32 bits.
    pub(crate) fn values_per_word(self) -> usize {
        match self {
            Self::F32 | Self::Rounded => 1,
            Self::Bf16 | Self::Int16 | Self::WideBytes | Self::Tiles | Self::Tiles3 => 2,
            Self::Bytes | Self::ByteTiles => 4,
        }
    }

    /// How often a value is stored.
    pub(crate) fn parts(self) -> usize {
        if self == Self::Tiles3 { 3 } else { 1 }
    }

    /// Whether the tiles of AMX multiply it.
    pub(crate) fn is_tiled(self) -> bool {
        matches!(self, Self::Tiles | Self::Tiles3 | Self::ByteTiles)
    }

    /// Whether values are rotated before they are rounded.
    pub(crate) fn is_rotated(self) -> bool {
        matches!(self, Self::Bytes | Self::WideBytes | Self::ByteTiles)
    }

    /// Whether values are integers, with scales.
    pub(crate) fn is_scaled(self) -> bool {
        self == Self::Int16 || self.is_rotated()
    }

    /// Rows of as many values as a panel has columns, which a right operand holds for each of its slices: scales, and starts of sums.
    pub(crate) fn extras(self) -> usize {
        usize::from(self.is_scaled()) + usize::from(self.is_offset())
    }

    /// Whether sums start at what the offset of the left operand is to be made up for with.
    pub(crate) fn is_offset(self) -> bool {
        matches!(self, Self::Bytes | Self::ByteTiles)
    }

    /// Words of a part of a slice are a multiple of this.
    pub(crate) fn step(self) -> usize {
        match self {
            _ if self.is_rotated() => rotate::BLOCK / self.values_per_word(),
            Self::Tiles | Self::Tiles3 => 16,
            _ => 1,
        }
    }

    /// Values of every slice but the last are a multiple of this: whole blocks are transposed, or rotated.
    pub(crate) fn multiple(self) -> usize {
        if self.is_rotated() { rotate::BLOCK } else { 32 }
    }
}
