//! Embeddings at lower precision, with the semantics of sentence_transformers/util/quantization.py (5.7).

use std::{fmt, str::FromStr};

use matryo_ops::Mat;

/// What one value of an embedding becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Quantization {
    /// Left as it is.
    #[default]
    Float32,
    /// One of 256 steps between the least and the greatest value of its column, less 128.
    Int8,
    /// One of 256 steps between the least and the greatest value of its column.
    Uint8,
    /// One bit, set for values above 0; eight to a byte, first value highest, less 128.
    Binary,
    /// One bit, set for values above 0; eight to a byte, first value highest.
    Ubinary,
}

impl Quantization {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Float32,
        Self::Int8,
        Self::Uint8,
        Self::Binary,
        Self::Ubinary,
    ];

    /// Upstream's name: `float32`, `int8`, `uint8`, `binary`, `ubinary`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
            Self::Binary => "binary",
            Self::Ubinary => "ubinary",
        }
    }

    /// Whether the values depend on [`Ranges`].
    pub fn needs_ranges(self) -> bool {
        matches!(self, Self::Int8 | Self::Uint8)
    }
}

impl fmt::Display for Quantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is none of [`Quantization::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown type of values `{0}`, expected float32, int8, uint8, binary or ubinary")]
pub struct UnknownQuantization(pub String);

impl FromStr for Quantization {
    type Err = UnknownQuantization;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|p| p.name() == name)
            .ok_or_else(|| UnknownQuantization(name.to_owned()))
    }
}

/// Least and greatest value of each column, between which `int8` and `uint8` lay their 256 steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges {
    /// Least values, one a column.
    pub min: Vec<f32>,
    /// Greatest values, one a column.
    pub max: Vec<f32>,
}

impl Ranges {
    /// The ranges of some embeddings. Fewer than about 100 rows make them depend on chance.
    pub fn of(embeddings: &Mat) -> Self {
        let mut ranges = Self {
            min: vec![f32::INFINITY; embeddings.cols()],
            max: vec![f32::NEG_INFINITY; embeddings.cols()],
        };
        for i in 0..embeddings.rows() {
            for (j, &x) in embeddings.row(i).iter().enumerate() {
                ranges.min[j] = ranges.min[j].min(x);
                ranges.max[j] = ranges.max[j].max(x);
            }
        }
        ranges
    }
}

/// Quantised embeddings, row after row.
#[derive(Clone, Debug, PartialEq)]
pub enum Quantized {
    /// `float32`.
    Float32(Mat),
    /// `int8` or `binary`.
    Int8 {
        /// One a text.
        rows: usize,
        /// Bytes a row: the width, or for `binary` an eighth of it, rounded up.
        cols: usize,
        /// All values.
        data: Vec<i8>,
    },
    /// `uint8` or `ubinary`.
    Uint8 {
        /// One a text.
        rows: usize,
        /// Bytes a row: the width, or for `ubinary` an eighth of it, rounded up.
        cols: usize,
        /// All values.
        data: Vec<u8>,
    },
}

/// Quantises embeddings; `int8` and `uint8` take `ranges`, else the ranges of `embeddings` themselves.
///
/// Panics if `ranges` has another width than `embeddings`.
pub fn quantize(embeddings: Mat, precision: Quantization, ranges: Option<&Ranges>) -> Quantized {
    let rows = embeddings.rows();
    let bytes = match precision {
        Quantization::Float32 => return Quantized::Float32(embeddings),
        Quantization::Int8 | Quantization::Uint8 => match ranges {
            Some(ranges) => steps(&embeddings, ranges),
            None => steps(&embeddings, &Ranges::of(&embeddings)),
        },
        Quantization::Binary | Quantization::Ubinary => bits(&embeddings),
    };
    let cols = if precision.needs_ranges() {
        embeddings.cols()
    } else {
        embeddings.cols().div_ceil(8)
    };
    match precision {
        Quantization::Int8 | Quantization::Binary => Quantized::Int8 {
            rows,
            cols,
            data: bytes.into_iter().map(less_128).collect(),
        },
        _ => Quantized::Uint8 {
            rows,
            cols,
            data: bytes,
        },
    }
}

/// `byte - 128` as a signed byte: the same bits but for the highest.
fn less_128(byte: u8) -> i8 {
    (byte ^ 0x80).cast_signed()
}

fn steps(embeddings: &Mat, ranges: &Ranges) -> Vec<u8> {
    assert_eq!(
        (ranges.min.len(), ranges.max.len()),
        (embeddings.cols(), embeddings.cols()),
        "a range a column"
    );
    let step = |(min, max): (&f32, &f32)| match (max - min) / 255.0 {
        0.0 => 1.0,
        step => step,
    };
    let step: Vec<f32> = ranges.min.iter().zip(&ranges.max).map(step).collect();
    let mut bytes = Vec::with_capacity(embeddings.data().len());
    for i in 0..embeddings.rows() {
        let row = embeddings.row(i).iter().zip(&ranges.min).zip(&step);
        // `as` clips to 0..=255, as upstream does.
        bytes.extend(row.map(|((x, min), step)| ((x - min) / step).floor() as u8));
    }
    bytes
}

fn bits(embeddings: &Mat) -> Vec<u8> {
    let byte = |values: &[f32]| {
        values
            .iter()
            .enumerate()
            .fold(0, |b, (i, x)| b | u8::from(*x > 0.0) << (7 - i))
    };
    (0..embeddings.rows())
        .flat_map(|i| embeddings.row(i).chunks(8).map(byte))
        .collect()
}
