//! Which instruction set this process uses, and how a kernel enters it.

use std::sync::OnceLock;

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

impl Level {
    /// All, best first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// The name that `MATRYO_CPU` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Whether this processor has it.
    #[cfg(target_arch = "x86_64")]
    pub fn available(self) -> bool {
        match self {
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Portable => true,
        }
    }

    /// Whether this processor has it.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn available(self) -> bool {
        self == Self::Portable
    }
}

/// The level in use: the one named by the environment variable `MATRYO_CPU` (`avx512`, `avx2`, `portable`) if this processor has
/// it, else the best. Decided once a process.
pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let wanted = std::env::var("MATRYO_CPU").unwrap_or_default();
        let usable = || Level::ALL.into_iter().filter(|level| level.available());
        usable().find(|level| level.name() == wanted).or_else(|| usable().next()).unwrap_or(Level::Portable)
    })
}

/// A computation written once for any vector.
pub(crate) trait Kernel {
    /// Must be `#[inline(always)]`, as all that it calls, so that it is compiled for `V`'s instruction set.
    fn run<V: Vector>(self);
}

/// Runs a kernel at the process's level.
pub(crate) fn run(kernel: impl Kernel) {
    run_at(level(), kernel);
}

/// Runs a kernel at a level; panics if this processor lacks it.
#[cfg(target_arch = "x86_64")]
pub(crate) fn run_at(level: Level, kernel: impl Kernel) {
    use crate::simd::{avx2::Avx2, avx512::Avx512};

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    fn avx512(kernel: impl Kernel) {
        kernel.run::<Avx512>();
    }
    #[target_feature(enable = "avx2,fma")]
    fn avx2(kernel: impl Kernel) {
        kernel.run::<Avx2>();
    }
    assert!(level.available(), "{} is not available", level.name());
    match level {
        // SAFETY: the assertion.
        Level::Avx512 => unsafe { avx512(kernel) },
        // SAFETY: the assertion.
        Level::Avx2 => unsafe { avx2(kernel) },
        Level::Portable => kernel.run::<Portable>(),
    }
}

/// Runs a kernel at a level; panics if this processor lacks it.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn run_at(level: Level, kernel: impl Kernel) {
    assert!(level.available(), "{} is not available", level.name());
    kernel.run::<Portable>();
}
