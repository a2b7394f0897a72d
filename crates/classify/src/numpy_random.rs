//! Permutations of NumPy's legacy generator, which decide the order of SetFit's pairs.

use matryo_data::Mt19937;

/// `numpy.random.RandomState(seed).permutation(n)`: a shuffle from the end (`_shuffle_raw` in numpy/random/mtrand.pyx), its
/// places drawn by [`below_or_at`]. Costs `4 n` bytes.
pub(crate) fn permutation(n: u32, seed: u32) -> Vec<u32> {
    let mut generator = Mt19937::new(seed);
    let mut order: Vec<u32> = (0..n).collect();
    for i in (1..n).rev() {
        let j = below_or_at(i, &mut generator);
        order.swap(i as usize, j as usize);
    }
    order
}

/// A number of `0..=most`, by rejection under a mask (`random_interval` in numpy/random/src/distributions/distributions.c).
fn below_or_at(most: u32, generator: &mut Mt19937) -> u32 {
    let mask = u32::MAX >> most.leading_zeros();
    loop {
        let value = generator.next_u32() & mask;
        if value <= most {
            return value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.random.RandomState(42).permutation(10)`.
    #[test]
    fn the_order_is_numpys() {
        assert_eq!(permutation(10, 42), [8, 1, 5, 0, 7, 2, 9, 4, 3, 6]);
        assert_eq!(permutation(1, 42), [0]);
        assert!(permutation(0, 42).is_empty());
    }
}
