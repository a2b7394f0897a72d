//! Eight lanes in two registers of four: NEON, which every 64-bit Arm processor has.
//!
//! 1. Two registers a vector make the register tile 6 rows by 16 columns: 24 sums, 4 registers of `b` and one or two of `a`, of 32.
//!    A step loads ten registers for 24 multiply-adds; 12 rows by 8 columns, with one register a vector, would load 14.
//! 2. `max` and `min` give no number if either operand is none: more than [`super::math`] asks for, and one instruction.
//! 3. The shape follows from counts of instructions; nothing here was timed on a processor.

use std::arch::aarch64::*;

use super::Vector;
use crate::{multiply, tile::Tile};

#[derive(Clone, Copy)]
pub(crate) struct Neon(float32x4_t, float32x4_t);

/// Each method is one instruction on either half.
macro_rules! instruction {
    ($($name:ident($($arg:ident),*) = $intrinsic:ident;)*) => {
        $(#[inline(always)]
        fn $name(self $(, $arg: Self)*) -> Self {
            // SAFETY: values of this type exist only below `Level::run`, which found NEON.
            unsafe { Self($intrinsic(self.0 $(, $arg.0)*), $intrinsic(self.1 $(, $arg.1)*)) }
        })*
    };
}

impl Vector for Neon {
    const LANES: usize = 8;
    const TILE_ROWS: usize = 6;

    instruction! {
        add(b) = vaddq_f32;
        sub(b) = vsubq_f32;
        mul(b) = vmulq_f32;
        div(b) = vdivq_f32;
        max(b) = vmaxq_f32;
        min(b) = vminq_f32;
        sqrt() = vsqrtq_f32;
        round() = vrndnq_f32;
    }

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: only reached below `Level::run`, which found NEON.
        unsafe { Self(vdupq_n_f32(x), vdupq_n_f32(x)) }
    }

    #[inline(always)]
    unsafe fn load_ptr(p: *const f32) -> Self {
        // SAFETY: the caller's promise; an alignment of a float is enough.
        unsafe { Self(vld1q_f32(p), vld1q_f32(p.add(4))) }
    }

    #[inline(always)]
    unsafe fn store_ptr(self, p: *mut f32) {
        // SAFETY: the caller's promise; an alignment of a float is enough.
        unsafe {
            vst1q_f32(p, self.0);
            vst1q_f32(p.add(4), self.1);
        }
    }

    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        // SAFETY: as above. The intrinsic takes the summand first.
        unsafe { Self(vfmaq_f32(c.0, self.0, b.0), vfmaq_f32(c.1, self.1, b.1)) }
    }

    #[inline(always)]
    fn times_power_of_two(self, n: Self) -> Self {
        // SAFETY: as above.
        unsafe {
            Self(
                times_power_of_two(self.0, n.0),
                times_power_of_two(self.1, n.1),
            )
        }
    }

    #[inline(always)]
    fn round_to_bf16(self) -> Self {
        // SAFETY: as above.
        unsafe { Self(round_to_bf16(self.0), round_to_bf16(self.1)) }
    }

    #[inline(always)]
    fn upper_halves(self) -> Self {
        // SAFETY: as above.
        unsafe { Self(upper_halves(self.0), upper_halves(self.1)) }
    }

    #[inline(always)]
    fn join_halves(self, upper: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(join_halves(self.0, upper.0), join_halves(self.1, upper.1)) }
    }

    #[inline(always)]
    unsafe fn store_lower_halves(self, p: *mut f32) {
        // SAFETY: the caller's promise. Narrowing keeps the lower half of a lane.
        unsafe {
            let lower = vmovn_u32(vreinterpretq_u32_f32(self.0));
            vst1q_u16(
                p.cast(),
                vmovn_high_u32(lower, vreinterpretq_u32_f32(self.1)),
            );
        }
    }

    #[inline(always)]
    fn swap(self, distance: usize) -> Self {
        // SAFETY: as above.
        unsafe {
            match distance {
                1 => Self(vrev64q_f32(self.0), vrev64q_f32(self.1)),
                2 => Self(
                    vextq_f32::<2>(self.0, self.0),
                    vextq_f32::<2>(self.1, self.1),
                ),
                _ => Self(self.1, self.0),
            }
        }
    }

    #[inline(always)]
    unsafe fn store_lowest_bytes(self, p: *mut f32) {
        // SAFETY: the caller's promise. Narrowing keeps the lower half of a lane, twice.
        unsafe {
            let lower = vmovn_u32(vreinterpretq_u32_f32(self.0));
            vst1_u8(
                p.cast(),
                vmovn_u16(vmovn_high_u32(lower, vreinterpretq_u32_f32(self.1))),
            );
        }
    }

    #[inline(always)]
    unsafe fn transpose8(from: *const f32, stride: usize, to: *mut f32, step: usize) {
        for r in [0, 4] {
            for l in [0, 4] {
                // SAFETY: the caller's promise for a quarter of the square.
                unsafe { transpose4(from.add(r * stride + l), stride, to.add(l * step + r), step) };
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply(tile: Tile) {
        // SAFETY: the caller's promise; values of this type exist only where these instructions do.
        unsafe { multiply::neon(tile) }
    }

    /// In the order of the other vectors of eight.
    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: as above.
        unsafe {
            let four = vaddq_f32(self.0, self.1);
            vaddv_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)))
        }
    }
}

/// `n + 127` in the exponent bits is 2^n.
///
/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn times_power_of_two(x: float32x4_t, n: float32x4_t) -> float32x4_t {
    // SAFETY: the caller's promise.
    unsafe {
        let biased = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
        vmulq_f32(x, vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased)))
    }
}

/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn round_to_bf16(x: float32x4_t) -> float32x4_t {
    // SAFETY: the caller's promise.
    unsafe {
        let bits = vreinterpretq_u32_f32(x);
        let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
        let sum = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
        let rounded = vandq_u32(sum, vdupq_n_u32(0xffff_0000));
        let is_number = vceqq_f32(x, x);
        vreinterpretq_f32_u32(vbslq_u32(is_number, rounded, vdupq_n_u32(0x7fc0_0000)))
    }
}

/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn upper_halves(x: float32x4_t) -> float32x4_t {
    // SAFETY: the caller's promise.
    unsafe { vreinterpretq_f32_u32(vshrq_n_u32::<16>(vreinterpretq_u32_f32(x))) }
}

/// One instruction: shifts `upper` left and leaves the bits of `lower` below.
///
/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn join_halves(lower: float32x4_t, upper: float32x4_t) -> float32x4_t {
    // SAFETY: the caller's promise.
    unsafe {
        vreinterpretq_f32_u32(vsliq_n_u32::<16>(
            vreinterpretq_u32_f32(lower),
            vreinterpretq_u32_f32(upper),
        ))
    }
}

/// Four rows of four, transposed in registers: pairs of rows are interleaved, then pairs of pairs.
///
/// # Safety
/// As [`Vector::transpose8`], for 4 instead of 8; the processor has NEON.
#[inline(always)]
unsafe fn transpose4(from: *const f32, stride: usize, to: *mut f32, step: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut r = [vdupq_n_f32(0.0); 4];
        for (i, r) in r.iter_mut().enumerate() {
            *r = vld1q_f32(from.add(i * stride));
        }
        let (mut even, mut odd) = ([vdupq_n_f64(0.0); 2], [vdupq_n_f64(0.0); 2]);
        for i in 0..2 {
            even[i] = vreinterpretq_f64_f32(vtrn1q_f32(r[2 * i], r[2 * i + 1]));
            odd[i] = vreinterpretq_f64_f32(vtrn2q_f32(r[2 * i], r[2 * i + 1]));
        }
        vst1q_f32(to, vreinterpretq_f32_f64(vtrn1q_f64(even[0], even[1])));
        vst1q_f32(
            to.add(step),
            vreinterpretq_f32_f64(vtrn1q_f64(odd[0], odd[1])),
        );
        vst1q_f32(
            to.add(2 * step),
            vreinterpretq_f32_f64(vtrn2q_f64(even[0], even[1])),
        );
        vst1q_f32(
            to.add(3 * step),
            vreinterpretq_f32_f64(vtrn2q_f64(odd[0], odd[1])),
        );
    }
}
