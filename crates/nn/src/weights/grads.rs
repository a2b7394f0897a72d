//! The places of gradients in the flat buffer, for one operation at a time.

use std::ops::Range;

use super::layout::{Grads, Layout, Tensor};

/// How much of a tensor is trained.
enum Share {
    None,
    Whole(Range<usize>),
    /// Some of its entries (one of q, k and v is frozen).
    Part,
}

/// Lets `work` add to the gradients of `tensors`, which are in the order of the layout; frozen ones are `None`.
pub(crate) fn accumulate<const N: usize>(
    grads: &mut Grads,
    tensors: [Option<Tensor>; N],
    work: impl FnOnce([Option<&mut [f32]>; N]),
) {
    let layout = grads.layout.clone();
    let shares = tensors.map(|t| t.map_or(Share::None, |t| share(&layout, t)));
    if shares.iter().any(|share| matches!(share, Share::Part)) {
        return accumulate_aside(grads, tensors, work);
    }
    let ranges = shares.map(|share| {
        if let Share::Whole(range) = share {
            Some(range)
        } else {
            None
        }
    });
    work(split(&mut grads.flat, ranges));
}

/// As [`accumulate`] for tensors of which a part is trained: computes the whole, keeps the part.
fn accumulate_aside<const N: usize>(
    grads: &mut Grads,
    tensors: [Option<Tensor>; N],
    work: impl FnOnce([Option<&mut [f32]>; N]),
) {
    let layout = grads.layout.clone();
    let trained = |t: &Tensor| layout.trains(t.entries());
    let mut aside = tensors.map(|t| t.filter(trained).map(|t| vec![0.0; t.rows * t.cols]));
    work(aside.each_mut().map(|values| values.as_deref_mut()));
    for (tensor, values) in tensors.iter().zip(&aside) {
        let (Some(tensor), Some(values)) = (tensor, values) else {
            continue;
        };
        let start = layout.entries[tensor.first].range.start;
        for entry in tensor.entries() {
            let range = layout.entries[entry].range.clone();
            let Some(sums) = grads.get_mut(entry) else {
                continue;
            };
            sums.iter_mut()
                .zip(&values[range.start - start..range.end - start])
                .for_each(|(s, v)| *s += v);
        }
    }
}

fn share(layout: &Layout, tensor: Tensor) -> Share {
    let entries = &layout.entries[tensor.entries()];
    let trained: Vec<&Range<usize>> = entries.iter().filter_map(|e| e.grad.as_ref()).collect();
    match (trained.first(), trained.last()) {
        (Some(first), Some(last)) if trained.len() == entries.len() => {
            Share::Whole(first.start..last.end)
        }
        (Some(_), _) => Share::Part,
        _ => Share::None,
    }
}

/// Disjoint ascending ranges of one slice.
fn split<const N: usize>(
    mut rest: &mut [f32],
    ranges: [Option<Range<usize>>; N],
) -> [Option<&mut [f32]>; N] {
    let mut passed = 0;
    ranges.map(|range| {
        let range = range?;
        let (_, from) = std::mem::take(&mut rest).split_at_mut(range.start - passed);
        let (slice, after) = from.split_at_mut(range.len());
        (rest, passed) = (after, range.end);
        Some(slice)
    })
}
