//! Dot products of pairs of 16-bit integers, added to 32-bit sums: NEON.
//!
//! ```text
//! word            w0            w1            w2            w3
//! halves       x0    x1      x2    x3      x4    x5      x6    x7
//! sums.0      += x0 b0, x1 b1, x2 b2, x3 b3                              one widening multiply-add
//! sums.1                                      += x4 b4, x5 b5, x6 b6, x7 b7        another
//! at the end   s0 + s1       s2 + s3       s4 + s5       s6 + s7         one addition of neighbours
//! ```
//!
//! 1. No instruction of NEON adds both products of a pair to one sum of 32 bits, so each half of a word has a sum of its own until
//!    the tile is done. It fits 32 bits as the whole one does: it is the product of parts of the same two vectors ([`crate::scale`]).
//! 2. Four products an instruction are as many as of floats: integers save memory here, not time.
//! 3. With two sums a word, vectors of four words give the tile as many rows as that of floats has, 6 by 8 columns.

use std::arch::aarch64::*;

use super::{Vector, neon::Neon};
use crate::tile::Unit;

pub(crate) struct NeonPairs;

impl Unit for NeonPairs {
    /// Two words each: halves of one register of four would have to be moved for every multiply-add.
    type Words = (int16x4_t, int16x4_t);
    type Sums = (int32x4_t, int32x4_t);
    const LANES: usize = 4;
    const TILE_ROWS: usize = Neon::TILE_ROWS;

    #[inline(always)]
    fn zero() -> Self::Sums {
        // SAFETY: only reached below `Level::multiply`, which checked the level.
        unsafe { (vdupq_n_s32(0), vdupq_n_s32(0)) }
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::Words {
        // SAFETY: the caller's promise; an alignment of an integer is enough.
        unsafe { (vld1_s16(p.cast()), vld1_s16(p.add(2).cast())) }
    }

    #[inline(always)]
    unsafe fn splat(p: *const f32) -> Self::Words {
        // SAFETY: the caller's promise.
        unsafe {
            let two = vreinterpret_s16_s32(vdup_n_s32(*p.cast()));
            (two, two)
        }
    }

    #[inline(always)]
    fn add_product(sums: Self::Sums, x: Self::Words, b: Self::Words) -> Self::Sums {
        // SAFETY: as above.
        unsafe { (vmlal_s16(sums.0, x.0, b.0), vmlal_s16(sums.1, x.1, b.1)) }
    }

    #[inline(always)]
    unsafe fn store(sums: Self::Sums, p: *mut f32) {
        // SAFETY: the caller's promise; an alignment of a float is enough.
        unsafe { vst1q_f32(p, vcvtq_f32_s32(vpaddq_s32(sums.0, sums.1))) }
    }
}
