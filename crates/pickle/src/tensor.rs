//! A tensor's bytes out of its storage: offset and strides followed, values one after the other.

use std::rc::Rc;

use crate::{PickleError, container::Storages};

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ElementType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

/// A tensor, its elements in the order of the last axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Type of the elements.
    pub element: ElementType,
    /// Lengths of the axes; empty for a single number.
    pub shape: Vec<usize>,
    /// The elements, little-endian.
    pub bytes: Vec<u8>,
}

/// Where a tensor lies.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) element: ElementType,
    /// Key of the storage, and how many elements the file says that it has.
    pub(crate) storage: Rc<str>,
    pub(crate) elements: u64,
    pub(crate) slice: Slice,
}

/// A part of a storage, in elements.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

/// More axes than torch has.
pub(crate) const MOST_AXES: usize = 64;

impl ElementType {
    const STORAGES: [(&'static str, Self); 10] = [
        ("DoubleStorage", Self::F64),
        ("FloatStorage", Self::F32),
        ("HalfStorage", Self::F16),
        ("BFloat16Storage", Self::BF16),
        ("LongStorage", Self::I64),
        ("IntStorage", Self::I32),
        ("ShortStorage", Self::I16),
        ("CharStorage", Self::I8),
        ("ByteStorage", Self::U8),
        ("BoolStorage", Self::Bool),
    ];

    /// The type of a class of `torch`.
    pub(crate) fn of_storage(class: &str) -> Option<Self> {
        let found = Self::STORAGES.iter().find(|(name, _)| *name == class);
        found.map(|(_, element)| *element)
    }

    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// Reads a tensor of at most `most` bytes.
pub(crate) fn read(
    name: &str,
    layout: &Layout,
    storages: &Storages<'_>,
    most: usize,
) -> Result<Tensor, PickleError> {
    let wrong = |what: String| PickleError::Tensor {
        name: name.to_owned(),
        what,
    };
    let size = layout.element.size();
    let storage = storages
        .get(&*layout.storage)
        .ok_or_else(|| wrong(format!("the file has no storage `{}`", layout.storage)))?;
    let held = storage.len() / size;
    if held as u64 != layout.elements {
        let elements = layout.elements;
        return Err(wrong(format!(
            "its storage should have {elements} elements, but has {held}"
        )));
    }
    let slice = &layout.slice;
    let count = slice.elements_within(held, most / size).map_err(wrong)?;
    let bytes = if count == 0 {
        Vec::new()
    } else if whole(&slice.shape, &slice.strides) {
        storage[slice.offset * size..(slice.offset + count) * size].to_vec()
    } else {
        gather(storage, slice, size, count)
    };
    Ok(Tensor {
        element: layout.element,
        shape: slice.shape.clone(),
        bytes,
    })
}

impl Slice {
    /// Number of elements, at most `most` and all of them within a storage that holds so many; else what is wrong.
    fn elements_within(&self, held: usize, most: usize) -> Result<usize, String> {
        let (shape, strides) = (&self.shape, &self.strides);
        if shape.len() != strides.len() || shape.len() > MOST_AXES {
            return Err(format!(
                "{} axes and {} strides",
                shape.len(),
                strides.len()
            ));
        }
        let count = shape.iter().try_fold(1_usize, |n, len| n.checked_mul(*len));
        // A tensor that repeats elements of its storage (a stride of 0) could be of any size.
        let count = count.filter(|count| *count <= most).ok_or_else(|| {
            format!("{shape:?} of a storage of {held}: tensors that share or repeat elements are many times larger than the file")
        })?;
        let mut axes = shape.iter().zip(strides);
        let last = axes.try_fold(self.offset, |last, (len, stride)| {
            len.saturating_sub(1)
                .checked_mul(*stride)?
                .checked_add(last)
        });
        if count > 0 && last.is_none_or(|last| last >= held) {
            return Err("it reaches beyond its storage".into());
        }
        Ok(count)
    }
}

/// Whether elements lie one after the other.
fn whole(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    for (len, stride) in shape.iter().zip(strides).rev() {
        if *len > 1 && *stride != expected {
            return false;
        }
        expected *= len;
    }
    true
}

fn gather(storage: &[u8], slice: &Slice, size: usize, count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count * size);
    let mut place = vec![0; slice.shape.len()];
    for _ in 0..count {
        let steps = place
            .iter()
            .zip(&slice.strides)
            .map(|(i, stride)| i * stride);
        let start = (slice.offset + steps.sum::<usize>()) * size;
        bytes.extend_from_slice(&storage[start..start + size]);
        for (axis, i) in place.iter_mut().enumerate().rev() {
            *i += 1;
            if *i < slice.shape[axis] {
                break;
            }
            *i = 0;
        }
    }
    bytes
}
