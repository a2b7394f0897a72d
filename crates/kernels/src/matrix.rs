//! Row-major `f32` matrices: owned, borrowed and mutably borrowed.

/// An owned row-major matrix of `f32`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mat {
    rows: usize,
    cols: usize,
    data: Vec<f32>,
}

/// A borrowed matrix `[rows, cols]`; consecutive rows lie `stride >= cols` values apart.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a> {
    rows: usize,
    cols: usize,
    stride: usize,
    data: &'a [f32],
}

/// A mutably borrowed, contiguous matrix `[rows, cols]`.
#[derive(Debug)]
pub struct MatMut<'a> {
    rows: usize,
    cols: usize,
    data: &'a mut [f32],
}

impl Mat {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Self {
            rows,
            cols,
            data: vec![0.0; rows * cols],
        }
    }

    /// Takes `data` as a matrix; panics unless it holds `rows * cols` values.
    pub fn from_vec(rows: usize, cols: usize, data: Vec<f32>) -> Self {
        assert_eq!(data.len(), rows * cols, "a [{rows}, {cols}] matrix");
        Self { rows, cols, data }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All values, row after row.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// All values, row after row.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The values without the shape.
    pub fn into_vec(self) -> Vec<f32> {
        self.data
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// Row `i`.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// The whole matrix, borrowed.
    pub fn view(&self) -> MatRef<'_> {
        MatRef {
            rows: self.rows,
            cols: self.cols,
            stride: self.cols,
            data: &self.data,
        }
    }

    /// The whole matrix, mutably borrowed.
    pub fn view_mut(&mut self) -> MatMut<'_> {
        MatMut {
            rows: self.rows,
            cols: self.cols,
            data: &mut self.data,
        }
    }
}

impl<'a> MatRef<'a> {
    /// Borrows `data` as a contiguous `[rows, cols]` matrix; panics on another length.
    pub fn new(rows: usize, cols: usize, data: &'a [f32]) -> Self {
        assert_eq!(data.len(), rows * cols, "a [{rows}, {cols}] matrix");
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

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Values from the start of one row to the start of the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The underlying values, from the first of the first row on (rows `stride` apart).
    pub fn data(&self) -> &'a [f32] {
        self.data
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &'a [f32] {
        &self.data[i * self.stride..i * self.stride + self.cols]
    }

    /// The first `cols` columns, without copying.
    pub fn first_cols(self, cols: usize) -> Self {
        assert!(cols <= self.cols, "{cols} of {} columns", self.cols);
        Self { cols, ..self }
    }

    /// Columns `start..end`, without copying.
    pub fn col_range(self, start: usize, end: usize) -> Self {
        assert!(
            start <= end && end <= self.cols,
            "columns {start}..{end} of {}",
            self.cols
        );
        let data = &self.data[start.min(self.data.len())..];
        Self {
            cols: end - start,
            data,
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
        let data = &self.data[(start * self.stride).min(self.data.len())..];
        Self {
            rows: end - start,
            data,
            ..self
        }
    }

    /// A contiguous copy.
    pub fn to_mat(self) -> Mat {
        let data = (0..self.rows)
            .flat_map(|i| self.row(i).iter().copied())
            .collect();
        Mat::from_vec(self.rows, self.cols, data)
    }
}

impl<'a> MatMut<'a> {
    /// Borrows `data` as a contiguous `[rows, cols]` matrix; panics on another length.
    pub fn new(rows: usize, cols: usize, data: &'a mut [f32]) -> Self {
        assert_eq!(data.len(), rows * cols, "a [{rows}, {cols}] matrix");
        Self { rows, cols, data }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All values, row after row.
    pub fn data(&mut self) -> &mut [f32] {
        self.data
    }

    /// Row `i`.
    pub fn row(&mut self, i: usize) -> &mut [f32] {
        &mut self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// All values, for as long as they were borrowed.
    pub fn into_data(self) -> &'a mut [f32] {
        self.data
    }

    /// The same matrix for a shorter time.
    pub fn reborrow(&mut self) -> MatMut<'_> {
        MatMut {
            rows: self.rows,
            cols: self.cols,
            data: self.data,
        }
    }

    /// The same matrix, read-only.
    pub fn as_ref(&self) -> MatRef<'_> {
        MatRef {
            rows: self.rows,
            cols: self.cols,
            stride: self.cols,
            data: self.data,
        }
    }
}
