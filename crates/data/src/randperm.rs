//! `torch.randperm` on the CPU: the order in which rows are visited.

use crate::mt19937::Mt19937;

/// The most numbers there can be: from a twentieth of the 32-bit range on PyTorch shuffles in another way (ATen's
/// `randperm_cpu`), for data sets that would not fit into memory here.
pub(crate) const MOST: usize = u32::MAX as usize / 20 - 1;

/// The numbers below `n` in the order of `torch.randperm(n, generator=torch.Generator().manual_seed(seed))`.
///
/// # Panics
/// If `n` is more than 214,748,363.
pub fn randperm(n: usize, seed: u64) -> Vec<u32> {
    next_randperm(n, &mut Mt19937::new(seed as u32))
}

/// The next permutation from a generator already in use. The bias of the remainder is PyTorch's.
pub(crate) fn next_randperm(n: usize, generator: &mut Mt19937) -> Vec<u32> {
    assert!(n <= MOST, "{n} rows are more than {MOST}");
    let mut order: Vec<u32> = (0..n as u32).collect();
    for i in 0..n.saturating_sub(1) {
        order.swap(i, i + generator.next_u32() as usize % (n - i));
    }
    order
}
