//! Borrowed rows of any type of value.

/// Borrowed rows `[rows, cols]`; consecutive ones lie `stride >= cols` values apart.
#[derive(Clone, Copy, Debug)]
pub struct RowsRef<'a, T> {
    rows: usize,
    cols: usize,
    stride: usize,
    data: &'a [T],
}

impl<'a, T> RowsRef<'a, T> {
    /// Borrows `data`; panics on another length than `rows * cols`.
    pub fn new(rows: usize, cols: usize, data: &'a [T]) -> Self {
        assert_eq!(data.len(), rows * cols, "{rows} rows of {cols}");
        Self {
            rows,
            cols,
            stride: cols,
            data,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values of a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Values from the start of one row to the start of the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Row `i`.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [T] {
        &self.data[i * self.stride..i * self.stride + self.cols]
    }

    /// Columns `start..end`, without copying.
    pub fn col_range(self, start: usize, end: usize) -> Self {
        assert!(
            start <= end && end <= self.cols,
            "columns {start}..{end} of {}",
            self.cols
        );
        Self {
            cols: end - start,
            data: &self.data[start.min(self.data.len())..],
            ..self
        }
    }

    /// Rows `start..end`, without copying.
    pub fn row_range(self, start: usize, end: usize) -> Self {
        assert!(
            start <= end && end <= self.rows,
            "rows {start}..{end} of {}",
            self.rows
        );
        Self {
            rows: end - start,
            data: &self.data[(start * self.stride).min(self.data.len())..],
            ..self
        }
    }
}

impl<'a> RowsRef<'a, i8> {
    /// The same bytes without their sign.
    pub(super) fn unsigned(self) -> RowsRef<'a, u8> {
        // SAFETY: a `u8` has the size and alignment of an `i8`, and every byte is one.
        let data =
            unsafe { std::slice::from_raw_parts(self.data.as_ptr().cast::<u8>(), self.data.len()) };
        RowsRef {
            rows: self.rows,
            cols: self.cols,
            stride: self.stride,
            data,
        }
    }
}
