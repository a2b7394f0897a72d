//! A task's product with AMX: tiles of 32 by 32 sums, the rows of one finished between the steps of the next.

use std::ops::Range;

use super::task::{Place, Task};
use crate::{
    simd::{
        Vector,
        amx::{BLOCK, STEP, Tiles},
    },
    tile::PANEL,
};

/// Sums of one block of rows by one panel.
type BlockSums = [[f32; BLOCK]; BLOCK];

impl Task<'_> {
    /// All panels by all blocks of 32 rows.
    #[inline(always)]
    pub(super) fn tiles<V: Vector, const BYTES: bool>(&self, slice: usize) {
        let rows = self.left.rows.len();
        let mut finishing = Finishing {
            sums: [[[0.0; BLOCK]; BLOCK]; 2],
            turn: 0,
            place: self.place(self.panels.start, slice),
            rows: 0..0,
        };
        // SAFETY: only a level with AMX has operands in tiles, and it was checked; no other tiles live on this thread, since
        // nothing below starts another product.
        let mut tiles = unsafe { Tiles::configure() };
        for panel in self.panels.clone() {
            let place = self.place(panel, slice);
            for first in (0..rows).step_by(BLOCK) {
                let block = first..rows.min(first + BLOCK);
                match self.product.panels.starts(panel, slice) {
                    Some(starts) => tiles.start(starts),
                    None => tiles.zero(),
                }
                self.steps::<V, BYTES>(&mut tiles, (panel, slice), &block, &mut finishing);
                finishing.all::<V>(self);
                finishing.store::<BYTES>(&mut tiles, place, block);
            }
        }
        drop(tiles);
        finishing.all::<V>(self);
    }

    /// Multiplies one block of rows by a slice of a panel, and meanwhile finishes rows of the block before, spread evenly.
    #[inline(always)]
    fn steps<'a, V: Vector, const BYTES: bool>(
        &'a self,
        tiles: &mut Tiles,
        (panel, slice): (usize, usize),
        block: &Range<usize>,
        finishing: &mut Finishing<'a>,
    ) {
        let stride = self.left.stride(slice);
        let steps = self.left.slices.words(slice) / STEP;
        let a = &self.left.packed()[block.start * stride..(block.start + BLOCK) * stride];
        let b = self.product.panels.words(panel, slice);
        let rows_to_finish = finishing.rows.len();
        let mut credit = 0;
        for step in 0..steps {
            let a = a[step * STEP..].as_ptr();
            let b = b[step * STEP * PANEL..(step + 1) * STEP * PANEL].as_ptr();
            // SAFETY: `a` holds 32 rows from there on, `b` the step's rows of words.
            unsafe {
                if block.len() > STEP {
                    tiles.step::<BYTES>(a, stride, b);
                } else {
                    tiles.half_step::<BYTES>(a, stride, b);
                }
            }
            credit += rows_to_finish;
            while credit >= steps {
                credit -= steps;
                finishing.next::<V>(self);
            }
        }
    }
}

/// Two blocks of sums: one is multiplied into, rows of the other are finished meanwhile.
struct Finishing<'a> {
    sums: [BlockSums; 2],
    /// Which of the two is multiplied into next.
    turn: usize,
    /// Where the other belongs.
    place: Place<'a>,
    /// Its rows that wait.
    rows: Range<usize>,
}

impl<'a> Finishing<'a> {
    #[inline(always)]
    fn next<V: Vector>(&mut self, task: &Task<'_>) {
        let row = self.rows.start;
        self.rows.start += 1;
        let sums = &self.sums[1 - self.turn][row % BLOCK];
        task.finish::<V>(row, self.place, sums);
    }

    #[inline(always)]
    fn all<V: Vector>(&mut self, task: &Task<'_>) {
        while !self.rows.is_empty() {
            self.next::<V>(task);
        }
    }

    /// Takes the sums of a block of rows out of the tiles.
    #[inline(always)]
    fn store<const BYTES: bool>(
        &mut self,
        tiles: &mut Tiles,
        place: Place<'a>,
        rows: Range<usize>,
    ) {
        let sums = &mut self.sums[self.turn];
        tiles.store(sums);
        if BYTES {
            to_floats(sums);
        }
        self.turn = 1 - self.turn;
        self.place = place;
        self.rows = rows;
    }
}

/// Sums of bytes are integers.
#[inline(always)]
fn to_floats(sums: &mut BlockSums) {
    for sum in sums.as_flattened_mut() {
        *sum = sum.to_bits().cast_signed() as f32;
    }
}
