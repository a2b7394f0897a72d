//! The order in which CPython iterates over a set of row numbers, which is the order of sentence-transformers 3.0.
//!
//! 3.0 keeps the rows that are left in a `set` and takes each batch out of it with `-=`. A small integer is its own
//! hash, so a set of all numbers below n iterates in ascending order whatever they were inserted in. But when more than
//! a quarter of the table are removed entries, CPython rebuilds it smaller, and numbers beyond its size wrap around:
//! from then on the order is not ascending. Semantics of `Objects/setobject.c`, the same from 3.7 to 3.13.

const SMALLEST_TABLE: usize = 8;
const LINEAR_PROBES: usize = 9;
const PERTURB_SHIFT: u32 = 5;
/// A larger set doubles when its table is rebuilt; a smaller one quadruples.
const LARGE: usize = 50_000;

/// The size of a set's table and how many of its entries are used or were removed.
pub(super) struct PythonSet {
    table: usize,
    used: usize,
    removed: usize,
}

impl PythonSet {
    /// The set of the numbers below `n`, made by adding one after the other.
    pub(super) fn of_numbers_below(n: usize) -> Self {
        let mut table = SMALLEST_TABLE;
        for used in 1..=n {
            if used * 5 >= (table - 1) * 3 {
                table = table_for(used);
            }
        }
        Self {
            table,
            used: n,
            removed: 0,
        }
    }

    /// Takes `count` numbers out. When this rebuilds the table, the new order of `rest`, the numbers left, which it
    /// wants in the old order.
    pub(super) fn remove(
        &mut self,
        count: usize,
        rest: impl FnOnce() -> Vec<u32>,
    ) -> Option<Vec<u32>> {
        self.used -= count;
        self.removed += count;
        if self.removed <= (self.table - 1) / 4 {
            return None;
        }
        self.removed = 0;
        self.table = table_for(self.used);
        Some(reinserted(&rest(), self.table))
    }
}

/// The smallest power of two above the room asked for.
fn table_for(used: usize) -> usize {
    let room = if used > LARGE { used * 2 } else { used * 4 };
    (room + 1).next_power_of_two().max(SMALLEST_TABLE)
}

/// The numbers in the order they come to stand in an empty table.
fn reinserted(numbers: &[u32], size: usize) -> Vec<u32> {
    let mut table: Vec<Option<u32>> = vec![None; size];
    for &number in numbers {
        let slot = free_slot(&table, number as usize);
        table[slot] = Some(number);
    }
    table.into_iter().flatten().collect()
}

/// Where CPython puts a number: its remainder, else one of the nine slots behind it (if they are all there), else
/// onwards by a recurrence that brings in the upper bits.
fn free_slot(table: &[Option<u32>], hash: usize) -> usize {
    let mask = table.len() - 1;
    let (mut perturb, mut start) = (hash, hash & mask);
    loop {
        let probes = if start + LINEAR_PROBES <= mask {
            LINEAR_PROBES
        } else {
            0
        };
        if let Some(slot) = (start..=start + probes).find(|&slot| table[slot].is_none()) {
            return slot;
        }
        perturb >>= PERTURB_SHIFT;
        start = (start * 5 + 1 + perturb) & mask;
    }
}
