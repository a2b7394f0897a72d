//! Which instruction set is used, and how a kernel enters it.

use crate::simd::{Vector, portable::Portable};

/// Instruction sets with kernels of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// AVX-512 (F, BW, DQ, VL), 16 floats.
    Avx512,
    /// AVX2 and FMA, 8 floats.
    Avx2,
    /// No particular instructions.
    Portable,
}

/// A computation written once for any vector.
pub(crate) trait Kernel {
    /// Must be `#[inline(always)]`, as all that it calls, so that it is compiled for `V`'s instruction set.
    fn run<V: Vector>(self);
}

impl Level {
    /// All, best first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// The levels of this processor, best first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|level| level.is_available())
    }

    /// The best level of this processor.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::Portable)
    }

    /// The level of this name, if there is one and this processor has it.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().find(|level| level.name() == name)
    }

    /// `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Whether this processor has it.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && Self::Avx2.is_available()
            }
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Portable => true,
        }
    }

    /// Whether this processor has it.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_available(self) -> bool {
        self == Self::Portable
    }

    /// Runs a kernel; panics if this processor lacks the level.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn run(self, kernel: impl Kernel) {
        use crate::simd::{avx2::Avx2, avx512::Avx512};

        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn avx512(kernel: impl Kernel) {
            kernel.run::<Avx512>();
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(kernel: impl Kernel) {
            kernel.run::<Avx2>();
        }
        assert!(self.is_available(), "this processor lacks {}", self.name());
        match self {
            // SAFETY: the assertion.
            Self::Avx512 => unsafe { avx512(kernel) },
            // SAFETY: the assertion.
            Self::Avx2 => unsafe { avx2(kernel) },
            Self::Portable => kernel.run::<Portable>(),
        }
    }

    /// Runs a kernel; panics if this processor lacks the level.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn run(self, kernel: impl Kernel) {
        assert!(self.is_available(), "this processor lacks {}", self.name());
        kernel.run::<Portable>();
    }

    /// Rows of the register tile.
    pub(crate) fn tile_rows(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => crate::simd::avx512::Avx512::TILE_ROWS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => crate::simd::avx2::Avx2::TILE_ROWS,
            _ => Portable::TILE_ROWS,
        }
    }
}
