//! Which instruction set is used, and how a kernel enters it.

use std::sync::OnceLock;

use crate::simd::{Vector, portable::Portable};

/// Instruction sets with kernels of their own, each with all that those of its family below it have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// AVX-512 with AMX tiles of bf16 and of bytes.
    Amx,
    /// AVX-512 with VNNI and bf16 dot products.
    Avx512Bf16,
    /// AVX-512 with VNNI, dot products of 16-bit integers.
    Avx512Vnni,
    /// AVX-512 (F, BW, DQ, VL), 16 floats.
    Avx512,
    /// AVX2 with AVX-VNNI.
    Avx2Vnni,
    /// AVX2 and FMA, 8 floats.
    Avx2,
    /// NEON of 64-bit Arm processors, twice 4 floats.
    Neon,
    /// No particular instructions.
    Portable,
}

/// What a level calculates with where no matrix or dot-product unit is involved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vectors {
    Avx512,
    Avx2,
    Neon,
    Portable,
}

/// A computation written once for any vector.
pub(crate) trait Kernel {
    /// Must be `#[inline(always)]`, as all that it calls, so that it is compiled for `V`'s instruction set.
    fn run<V: Vector>(self);
}

/// Names the instruction set to use instead of the best, as [`Level::name`] does.
pub const LEVEL_VARIABLE: &str = "MATRYO_CPU";

impl Level {
    /// All, richest first within an architecture.
    pub const ALL: [Self; 8] = [
        Self::Amx,
        Self::Avx512Bf16,
        Self::Avx512Vnni,
        Self::Avx512,
        Self::Avx2Vnni,
        Self::Avx2,
        Self::Neon,
        Self::Portable,
    ];

    /// The levels of this processor, richest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|level| level.is_available())
    }

    /// The best level of this processor.
    ///
    /// That is the richest, with one exception: Intel's bf16 dot product takes twice the time of the two multiply-adds that it
    /// stands for (0.75 ns against 0.18 ns each, on Emerald Rapids), so without AMX it is passed over there.
    pub fn best() -> Self {
        let slow = |level: &Self| *level == Self::Avx512Bf16 && is_intel();
        Self::available()
            .find(|level| !slow(level))
            .unwrap_or(Self::Portable)
    }

    /// The level that the environment variable [`LEVEL_VARIABLE`] names, if it names one.
    ///
    /// # Errors
    /// A name that is unknown, or that this processor lacks.
    pub fn wanted() -> Result<Option<Self>, String> {
        let name = std::env::var(LEVEL_VARIABLE).unwrap_or_default();
        if name.is_empty() {
            return Ok(None);
        }
        Self::named(&name).map(Some).ok_or(name)
    }

    /// The level that the environment names, as it did first, where that can be followed, else the best.
    pub fn chosen() -> Self {
        static CHOSEN: OnceLock<Level> = OnceLock::new();
        *CHOSEN.get_or_init(|| Self::wanted().ok().flatten().unwrap_or_else(Self::best))
    }

    /// The level of this name, if there is one and this processor has it.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().find(|level| level.name() == name)
    }

    /// `amx`, `avx512bf16`, `avx512vnni`, `avx512`, `avx2vnni`, `avx2`, `neon` or `portable`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amx => "amx",
            Self::Avx512Bf16 => "avx512bf16",
            Self::Avx512Vnni => "avx512vnni",
            Self::Avx512 => "avx512",
            Self::Avx2Vnni => "avx2vnni",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// Whether this processor, and its operating system, have it.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Self::Amx => Self::Avx512Vnni.is_available() && crate::simd::amx::is_available(),
            Self::Avx512Bf16 => {
                Self::Avx512Vnni.is_available() && is_x86_feature_detected!("avx512bf16")
            }
            Self::Avx512Vnni => {
                Self::Avx512.is_available() && is_x86_feature_detected!("avx512vnni")
            }
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && Self::Avx2.is_available()
            }
            Self::Avx2Vnni => Self::Avx2.is_available() && is_x86_feature_detected!("avxvnni"),
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Neon => false,
            Self::Portable => true,
        }
    }

    /// Whether this processor, and its operating system, have it.
    #[cfg(target_arch = "aarch64")]
    pub fn is_available(self) -> bool {
        match self {
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            level => level == Self::Portable,
        }
    }

    /// Whether this processor, and its operating system, have it.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub fn is_available(self) -> bool {
        self == Self::Portable
    }

    pub(crate) fn vectors(self) -> Vectors {
        match self {
            Self::Amx | Self::Avx512Bf16 | Self::Avx512Vnni | Self::Avx512 => Vectors::Avx512,
            Self::Avx2Vnni | Self::Avx2 => Vectors::Avx2,
            Self::Neon => Vectors::Neon,
            Self::Portable => Vectors::Portable,
        }
    }

    /// Runs a kernel; panics if this processor lacks the level.
    pub(crate) fn run(self, kernel: impl Kernel) {
        self.check();
        match self.vectors() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the check.
            Vectors::Avx512 => unsafe { avx512(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the check.
            Vectors::Avx2 => unsafe { avx2(kernel) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: the check.
            Vectors::Neon => unsafe { neon(kernel) },
            _ => kernel.run::<Portable>(),
        }
    }

    /// Rows of the register tile.
    pub(crate) fn tile_rows(self) -> usize {
        match self.vectors() {
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => crate::simd::avx512::Avx512::TILE_ROWS,
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => crate::simd::avx2::Avx2::TILE_ROWS,
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => crate::simd::neon::Neon::TILE_ROWS,
            _ => Portable::TILE_ROWS,
        }
    }

    /// Panics if this processor lacks the level.
    pub(crate) fn check(self) {
        assert!(self.is_available(), "this processor lacks {}", self.name());
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn avx512(kernel: impl Kernel) {
    kernel.run::<crate::simd::avx512::Avx512>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(kernel: impl Kernel) {
    kernel.run::<crate::simd::avx2::Avx2>();
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn neon(kernel: impl Kernel) {
    kernel.run::<crate::simd::neon::Neon>();
}

#[cfg(target_arch = "x86_64")]
fn is_intel() -> bool {
    let leaf = std::arch::x86_64::__cpuid(0);
    (leaf.ebx, leaf.edx, leaf.ecx) == (0x756e_6547, 0x4965_6e69, 0x6c65_746e)
}

#[cfg(not(target_arch = "x86_64"))]
fn is_intel() -> bool {
    false
}

#[cfg(all(test, target_arch = "aarch64"))]
mod tests {
    use super::Level;

    #[test]
    fn every_processor_has_neon() {
        assert_eq!(
            Level::available().collect::<Vec<_>>(),
            [Level::Neon, Level::Portable]
        );
        assert_eq!(Level::named("neon"), Some(Level::best()));
    }
}
