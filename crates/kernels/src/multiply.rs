//! The register tile, compiled once for each instruction set and format.

#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2::Avx2, avx512::Avx512, dot};
#[cfg(target_arch = "aarch64")]
use crate::simd::{neon::Neon, neon_pairs::NeonPairs};
use crate::{
    Level,
    cpu::Vectors,
    precision::Format,
    simd::{Fma, portable},
    tile::{Multiply, Tile},
};

macro_rules! compiled {
    ($arch:literal: $($name:ident: $unit:ty, $features:literal;)*) => {
        $(#[doc = concat!("[`Tile::run`] with ", $features, ".\n\n# Safety\nAs there, and the processor has these.")]
        #[cfg(target_arch = $arch)]
        pub(crate) unsafe fn $name(tile: Tile) {
            #[target_feature(enable = $features)]
            unsafe fn compiled(tile: Tile) {
                // SAFETY: the caller's promise.
                unsafe { tile.run::<$unit>() }
            }
            // SAFETY: the caller's promise.
            unsafe { compiled(tile) }
        })*
    };
}

compiled! {
    "x86_64":
    avx512: Fma<Avx512>, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma";
    avx2: Fma<Avx2>, "avx2,fma";
    avx512bf16_pairs: dot::Bf16Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16";
    avx512vnni_pairs: dot::VnniAvx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni";
    avx512_pairs: dot::MaddAvx512, "avx512f,avx512bw,avx512dq,avx512vl";
    avx2vnni_pairs: dot::VnniAvx2, "avx2,avxvnni";
    avx512vnni_bytes: dot::BytesAvx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni";
    avx2vnni_bytes: dot::BytesAvx2, "avx2,avxvnni";
    avx2_pairs: dot::MaddAvx2, "avx2";
}

compiled! {
    "aarch64":
    neon: Fma<Neon>, "neon";
    neon_pairs: NeonPairs, "neon";
}

/// [`Tile::run`] without particular instructions.
///
/// # Safety
/// As there.
pub(crate) unsafe fn portable(tile: Tile) {
    // SAFETY: the caller's promise.
    unsafe { tile.run::<Fma<portable::Portable>>() }
}

unsafe fn portable_pairs(tile: Tile) {
    // SAFETY: the caller's promise.
    unsafe { tile.run::<portable::Pairs>() }
}

impl Level {
    /// The register tile for operands in a format; panics if this processor lacks the level, and on the formats of AMX.
    pub(crate) fn multiply(self, format: Format) -> Multiply {
        self.check();
        match format {
            Format::F32 | Format::Rounded => self.multiply_floats(),
            Format::Int16 | Format::WideBytes => self.multiply_integers(),
            #[cfg(target_arch = "x86_64")]
            Format::Bf16 if self == Self::Avx512Bf16 => avx512bf16_pairs,
            #[cfg(target_arch = "x86_64")]
            Format::Bytes if self == Self::Avx2Vnni => avx2vnni_bytes,
            #[cfg(target_arch = "x86_64")]
            Format::Bytes if matches!(self, Self::Avx512Bf16 | Self::Avx512Vnni) => {
                avx512vnni_bytes
            }
            Format::Bf16 | Format::Bytes | Format::Tiles | Format::Tiles3 | Format::ByteTiles => {
                unreachable!("{format:?} at {}", self.name())
            }
        }
    }

    fn multiply_floats(self) -> Multiply {
        match self.vectors() {
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => avx512,
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => avx2,
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => neon,
            _ => portable,
        }
    }

    fn multiply_integers(self) -> Multiply {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx | Self::Avx512Bf16 | Self::Avx512Vnni => avx512vnni_pairs,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512_pairs,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Vnni => avx2vnni_pairs,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2_pairs,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => neon_pairs,
            _ => portable_pairs,
        }
    }
}
