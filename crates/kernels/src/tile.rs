//! The register tile of every product: up to 12 rows by up to 32 columns.
//!
//! ```text
//! for l in 0..k            one step: two vectors of b, R scalars of a, 2 R multiply-adds
//!     for r in 0..R
//!         sums[r][0..32] += a[r][l] * b[l][0..32]
//! ```
//!
//! 1. `b` is a panel `[k][32]`: its loads are consecutive and, in an aligned buffer, never straddle cache lines.
//! 2. `a` is a strip `[k][rows]`, or scores `[rows][32]`, both small and contiguous. Reading rows of a large matrix in place
//!    loses up to half the speed where rows lie a multiple of 4 KiB apart (widths 1024, 3072): twelve rows then share
//!    the eight places that one set of the first-level cache has.
//! 3. With AVX-512, 12 rows by two vectors fill 24 of the 32 registers, enough independent sums to hide the latency of the
//!    multiply-add; with AVX2, 6 rows by two vectors fill 12 of 16.
//! 4. Sums leave through a small buffer in the first-level cache: what follows a product is then written once, not once
//!    a tile height, at the price of one store and one load in `k` multiply-adds.
//! 5. An element is one sum in the order of `l`, whatever the height of the tile it falls into.
//! 6. The lines that the sums go to are asked for meanwhile, one every [`EVERY`] steps: all at once they wait for each other.
//! 7. The panel is asked for [`AHEAD`] steps early. The processor's own prefetching stops at every page of 4 KiB, which is 32 steps: with few
//!    rows, where a weight passes once from memory, that wait was about 30 % of the time of a model of 12 layers,
//!    768 wide, in f32, 28 to 45 % in int16 (two runs).
//! 8. The panel after it is asked for meanwhile, a part with each tile of the panel: else memory rests while the second and later tiles use what
//!    the first one waited for. A model of 12 layers, 768 wide, took 17 % less time with one text of 16 tokens in f32, 16 to 27 % less in 16 bits,
//!    3 to 9 % less with 8 texts, on a Zen 4 that reads 29 GB/s.

use crate::cache::{prefetch, prefetch_far};

/// Lanes of sums, and the instruction that adds products to them.
pub(crate) trait Unit {
    /// Vector of words.
    type Words: Copy;
    /// Vector of sums.
    type Sums: Copy;
    /// Sums in a vector.
    const LANES: usize;
    /// Most rows of a tile: as many as fit beside two vectors of words.
    const TILE_ROWS: usize;

    fn zero() -> Self::Sums;
    /// What sums start at: [`Tile::start`], if the unit has use for it.
    ///
    /// # Safety
    /// `LANES` integers are readable at `p`, unless the unit has no use for them.
    #[inline(always)]
    unsafe fn start(_: *const f32) -> Self::Sums {
        Self::zero()
    }
    /// # Safety
    /// `LANES` words are readable at `p`.
    unsafe fn load(p: *const f32) -> Self::Words;
    /// One word in every lane.
    ///
    /// # Safety
    /// A word is readable at `p`.
    unsafe fn splat(p: *const f32) -> Self::Words;
    fn add_product(sums: Self::Sums, x: Self::Words, b: Self::Words) -> Self::Sums;
    /// Writes sums as `f32`.
    ///
    /// # Safety
    /// `LANES` floats are writable at `p`.
    unsafe fn store(sums: Self::Sums, p: *mut f32);
}

/// [`Tile::run`], compiled for one instruction set.
///
/// # Safety
/// As there, and the processor has the instruction set.
pub(crate) type Multiply = unsafe fn(Tile);

/// Columns of a panel.
pub(crate) const PANEL: usize = 32;

/// Steps between asking for a line of a panel and multiplying with it.
const AHEAD: usize = 24;

/// Steps between asking for two lines of the result.
const EVERY: usize = 8;

/// Most rows of a tile.
pub(crate) const MAX_ROWS: usize = 12;

/// Floats in a cache line.
const LINE: usize = 16;

/// The sums of one tile.
#[repr(align(64))]
pub(crate) struct Sums(pub [[f32; PANEL]; MAX_ROWS]);

impl Sums {
    pub(crate) fn new() -> Self {
        Self([[0.0; PANEL]; MAX_ROWS])
    }
}

/// How the rows of the left operand lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Side by side: element `(r, l)` at `r + l * step`.
    Adjacent {
        /// Distance between steps.
        step: usize,
    },
    /// [`PANEL`] apart: element `(r, l)` at `r * PANEL + l`.
    Panels,
}

/// One tile's work.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    /// First element of the left operand.
    pub a: *const f32,
    /// Its layout.
    pub rows: Rows,
    /// Its rows, at most [`Unit::TILE_ROWS`].
    pub height: usize,
    /// A panel.
    pub b: *const f32,
    /// Columns of the panel that are wanted; others may or may not be computed.
    pub columns: usize,
    /// Steps.
    pub k: usize,
    /// For units of bytes, the integers that the sums of the panel's columns start at.
    pub start: *const f32,
    /// Receives `height` rows of [`PANEL`].
    pub sums: *mut f32,
    /// What is needed after the tile.
    pub next: [Next; 2],
    /// What is needed after all tiles of the panel.
    pub later: Later,
}

/// Rows of a matrix to ask for while a tile is computed: first value, floats between rows. Any address will do.
#[derive(Clone, Copy)]
pub(crate) struct Next(pub *const f32, pub usize);

impl Next {
    /// Nothing that is not at hand anyway.
    pub(crate) fn none(at_hand: *const f32) -> [Self; 2] {
        [Self(at_hand, 0); 2]
    }
}

/// Steps of the panel that comes next, to ask for while a tile is computed: one every `1 << shift` steps. Any address will do.
#[derive(Clone, Copy)]
pub(crate) struct Later {
    panel: *const f32,
    shift: u32,
}

impl Later {
    /// Nothing that is not at hand anyway.
    pub(crate) fn none(at_hand: *const f32) -> Self {
        Self {
            panel: at_hand,
            shift: 31,
        }
    }

    /// The part of the next panel that falls to tile `tile` of `tiles`; a single tile has enough to wait for itself.
    pub(crate) fn part(next: &[f32], tile: usize, tiles: usize) -> Self {
        let shift = tiles.ilog2();
        let steps = (next.len() / PANEL) >> shift;
        if shift == 0 || tile >> shift > 0 {
            return Self::none(next.as_ptr());
        }
        Self {
            panel: next.as_ptr().wrapping_add(tile * steps * PANEL),
            shift,
        }
    }
}

impl Tile {
    /// Computes the tile.
    ///
    /// # Safety
    /// `a` is readable for `height` rows and `k` steps in its layout, `b` for `k * PANEL` floats; `sums` is writable for
    /// `height * PANEL`, and `start` readable for [`PANEL`] if the unit reads it.
    #[inline(always)]
    pub(crate) unsafe fn run<U: Unit>(self) {
        // SAFETY: the caller's promise, layout by layout.
        unsafe {
            match self.rows {
                Rows::Adjacent { step } => self.halves::<U, 1>(step),
                Rows::Panels => self.halves::<U, PANEL>(1),
            }
        }
    }

    /// Two vectors of columns at a time; a single one where no more are wanted.
    #[inline(always)]
    unsafe fn halves<U: Unit, const ROW: usize>(mut self, step: usize) {
        let columns = self.columns;
        for first in (0..columns).step_by(2 * U::LANES) {
            // SAFETY: the caller's promise; `first` is less than PANEL.
            unsafe {
                if columns - first > U::LANES || U::LANES < 16 {
                    self.heights::<U, 2, ROW>(step);
                } else {
                    self.heights::<U, 1, ROW>(step);
                }
                self.b = self.b.add(2 * U::LANES);
                self.start = self.start.wrapping_add(2 * U::LANES);
                self.later.panel = self.later.panel.wrapping_add(2 * U::LANES);
                self.sums = self.sums.add(2 * U::LANES);
            }
        }
    }

    #[inline(always)]
    unsafe fn heights<U: Unit, const N: usize, const ROW: usize>(self, step: usize) {
        macro_rules! of_height {
            ($($height:literal)*) => {
                match self.height {
                    // SAFETY: the caller's promise.
                    $($height if $height <= U::TILE_ROWS => unsafe { self.sum::<U, $height, N, ROW>(step) },)*
                    height => unreachable!("a tile of {height} rows"),
                }
            };
        }
        of_height!(1 2 3 4 5 6 7 8 9 10 11 12);
    }

    #[inline(always)]
    unsafe fn sum<U: Unit, const R: usize, const N: usize, const ROW: usize>(self, step: usize) {
        let mut start = [U::zero(); N];
        for (i, start) in start.iter_mut().enumerate() {
            // SAFETY: the caller's promise; N vectors are inside a panel.
            *start = unsafe { U::start(self.start.wrapping_add(i * U::LANES)) };
        }
        let mut c = [start; R];
        for l in 0..self.k {
            if l % EVERY == 0 && l < 2 * R * EVERY {
                let (row, line) = (l / EVERY / 2, l / EVERY % 2 * LINE);
                self.next.iter().for_each(|Next(first, stride)| {
                    prefetch(first.wrapping_add(row * stride + line))
                });
            }
            for first in (0..N * U::LANES).step_by(LINE) {
                prefetch(self.b.wrapping_add((l + AHEAD) * PANEL + first));
            }
            if l & ((1 << self.later.shift) - 1) == 0 {
                let step = (l >> self.later.shift) * PANEL;
                for first in (0..N * U::LANES).step_by(LINE) {
                    prefetch_far(self.later.panel.wrapping_add(step + first));
                }
            }
            // SAFETY: the caller's promise; l < k, r < R = height, i < N with N vectors inside a panel.
            unsafe {
                let mut b = [U::load(self.b.add(l * PANEL)); N];
                for (i, b) in b.iter_mut().enumerate().skip(1) {
                    *b = U::load(self.b.add(l * PANEL + i * U::LANES));
                }
                for (r, c) in c.iter_mut().enumerate() {
                    let x = U::splat(self.a.add(r * ROW + l * step));
                    for (c, b) in c.iter_mut().zip(b) {
                        *c = U::add_product(*c, x, b);
                    }
                }
            }
        }
        for (r, c) in c.into_iter().enumerate() {
            for (i, c) in c.into_iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { U::store(c, self.sums.add(r * PANEL + i * U::LANES)) };
            }
        }
    }
}
