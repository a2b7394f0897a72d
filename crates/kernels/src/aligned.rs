//! Buffers of `f32` that start on a cache line, so that a full vector never straddles two.

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// A buffer that grows and never shrinks.
#[derive(Clone, Default)]
pub(crate) struct Aligned {
    lines: Vec<Line>,
}

impl Aligned {
    /// The first `len` values; what was never written is 0.
    pub(crate) fn first_mut(&mut self, len: usize) -> &mut [f32] {
        let lines = len.div_ceil(16);
        if lines > self.lines.len() {
            self.lines.resize(lines, Line([0.0; 16]));
        }
        // SAFETY: a `Line` is 16 `f32` without padding, so the lines hold at least `len` values; the borrow is passed on.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), len) }
    }

    /// All values.
    pub(crate) fn values(&self) -> &[f32] {
        // SAFETY: a `Line` is 16 `f32` without padding.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * 16) }
    }
}
