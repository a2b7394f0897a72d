//! Gradients of the trainable parameters as one flat buffer, which operations write one at a time.

use std::{ops::Range, sync::Arc};

use matryo_ops::{AlignedVec, Touched};

use super::layout::{Layout, Tensor};

/// Gradients of the trainable parameters; moments of an optimizer share the layout.
#[derive(Clone, Debug)]
pub struct Grads {
    /// Shared with the parameters.
    pub layout: Arc<Layout>,
    /// Every trainable tensor, one after the other.
    flat: AlignedVec,
    touched: Touched,
}

impl Grads {
    /// Zero gradients.
    pub fn zeros(layout: Arc<Layout>) -> Self {
        let len = layout.grad_len();
        Self {
            layout,
            flat: AlignedVec::zeros(len),
            touched: Touched::none(len),
        }
    }

    /// The gradients of every trainable tensor, one after the other.
    pub fn values(&self) -> &[f32] {
        &self.flat
    }

    /// The granules of [`Grads::values`] that were written since all were zero.
    pub fn touched(&self) -> &Touched {
        &self.touched
    }

    /// Sets all of them to zero.
    pub fn clear(&mut self) {
        self.touched.zero(&mut self.flat);
    }

    /// The gradient of entry `i`, to be written; `None` if it is frozen.
    pub fn get_mut(&mut self, i: usize) -> Option<&mut [f32]> {
        let range = self.layout.entries[i].grad.clone()?;
        self.touched.mark(range.clone());
        Some(&mut self.flat[range])
    }

    /// Lets `read` write all gradients, which were 0, then marks the granules that are not.
    pub fn read_with<E>(
        &mut self,
        read: impl FnOnce(&mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let result = read(&mut self.flat);
        self.touched = Touched::of(&self.flat);
        result
    }

    /// Disjoint ascending ranges of the values, to be written.
    fn write_each<const N: usize>(
        &mut self,
        ranges: [Option<Range<usize>>; N],
    ) -> [Option<&mut [f32]>; N] {
        let (mut rest, mut passed) = (&mut *self.flat, 0);
        ranges.map(|range| {
            let range = range?;
            self.touched.mark(range.clone());
            let (_, from) = std::mem::take(&mut rest).split_at_mut(range.start - passed);
            let (slice, after) = from.split_at_mut(range.len());
            (rest, passed) = (after, range.end);
            Some(slice)
        })
    }

    /// The gradient of a table of one entry, of which `rows` are written; `None` if it is frozen.
    pub(crate) fn write_rows(&mut self, table: Tensor, rows: &[u32]) -> Option<&mut [f32]> {
        let range = self.layout.entries[table.first].grad.clone()?;
        for &row in rows {
            let start = range.start + row as usize * table.cols;
            self.touched.mark(start..start + table.cols);
        }
        Some(&mut self.flat[range])
    }
}

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
    work(grads.write_each(ranges));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A frozen tensor, a vector, and a table with rows wider than a granule.
    fn layout() -> Layout {
        let mut layout = Layout::default();
        layout.push(0, "frozen", &[700, 3], false, true);
        layout.push(0, "vector", &[37], true, false);
        layout.push(0, "table", &[50, 300], true, true);
        layout
    }

    #[test]
    fn rows_of_a_table_are_marked_and_no_others() {
        let mut grads = Grads::zeros(layout().into());
        let table = Tensor {
            first: 2,
            count: 1,
            rows: 50,
            cols: 300,
        };
        let rows = [7, 2, 7, 49];
        let d_table = grads.write_rows(table, &rows).unwrap();
        assert_eq!(d_table.len(), 50 * 300);
        let row = |row: usize| 37 + row * 300..37 + (row + 1) * 300;
        rows.iter()
            .for_each(|r| d_table[*r as usize * 300..][..300].fill(1.0));
        let mut expected = Touched::none(grads.values().len());
        rows.iter().for_each(|r| expected.mark(row(*r as usize)));
        assert_eq!(*grads.touched(), expected);
        assert_eq!(Touched::of(grads.values()), expected);
        grads.clear();
        assert!(grads.values().iter().all(|value| *value == 0.0));
        assert_eq!(*grads.touched(), Touched::none(grads.values().len()));
        let frozen = Tensor {
            first: 0,
            count: 1,
            rows: 700,
            cols: 3,
        };
        assert!(grads.write_rows(frozen, &rows).is_none());
    }

    #[test]
    fn whole_tensors_are_marked_whole() {
        let mut grads = Grads::zeros(layout().into());
        grads.get_mut(1).unwrap()[0] = 1.0;
        let mut expected = Touched::none(grads.values().len());
        expected.mark(0..37);
        assert_eq!(*grads.touched(), expected);
        assert!(grads.get_mut(0).is_none());
    }
}
