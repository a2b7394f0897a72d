//! The neighbours of each token side by side, so that a convolution along the tokens of a text is a product; and its backward.
//!
//! ```text
//! y[i][c * taps + tap] = x[i + tap - taps / 2][c]            0 beyond the ends of the text
//! ```
//! The order of the columns is that of the weight `[out, in, taps]` of `torch.nn.Conv1d`, whose padding `taps / 2` keeps the length.

use crate::{MatMut, MatRef, Spans, parallel};

/// `y` `[t, d * taps]` from `x` `[t, d]`; `taps` is odd.
pub fn unfold(y: MatMut<'_>, x: MatRef<'_>, spans: Spans<'_>, taps: usize) {
    check(&y.as_ref(), x.rows(), x.cols(), spans, taps);
    let (width, texts) = (y.cols(), of_rows(spans));
    parallel::for_parts(y.into_data(), width, |i, y| {
        for tap in 0..taps {
            let place = y[tap..].iter_mut().step_by(taps);
            match neighbour(i, tap, taps, texts[i]) {
                Some(j) => place.zip(x.row(j)).for_each(|(y, x)| *y = *x),
                None => place.for_each(|y| *y = 0.0),
            }
        }
    });
}

/// Backward of [`unfold`]: assigns the columns of `dx` `[t, _]` from `first` on, as many as `x` had; `dy` is `[t, d * taps]`.
pub fn unfold_bwd(dx: MatMut<'_>, first: usize, dy: MatRef<'_>, spans: Spans<'_>, taps: usize) {
    let (cols, d) = (dx.cols(), dy.cols() / taps.max(1));
    check(&dy, dx.rows(), d, spans, taps);
    assert!(first + d <= cols, "unfold_bwd: columns");
    let texts = of_rows(spans);
    parallel::for_parts(dx.into_data(), cols, |j, dx| {
        let dx = &mut dx[first..first + d];
        dx.fill(0.0);
        // Row `j` is at tap `tap` of row `j + taps / 2 - tap`.
        for tap in 0..taps {
            if let Some(i) = neighbour(j, taps - 1 - tap, taps, texts[j]) {
                let values = dy.row(i)[tap..].iter().step_by(taps);
                dx.iter_mut().zip(values).for_each(|(dx, dy)| *dx += dy);
            }
        }
    });
}

fn check(unfolded: &MatRef<'_>, rows: usize, d: usize, spans: Spans<'_>, taps: usize) {
    assert!(taps % 2 == 1, "unfold: taps");
    assert_eq!(
        (unfolded.rows(), unfolded.cols()),
        (rows, d * taps),
        "unfold: shapes"
    );
    spans.check(rows);
}

/// First row and end of the text of each row.
fn of_rows(spans: Spans<'_>) -> Vec<(usize, usize)> {
    let texts = (0..spans.texts()).map(|text| spans.rows(text));
    texts
        .flat_map(|rows| std::iter::repeat_n((rows.start, rows.end), rows.len()))
        .collect()
}

/// Row `i + tap - taps / 2`, if it belongs to the text.
fn neighbour(i: usize, tap: usize, taps: usize, (first, end): (usize, usize)) -> Option<usize> {
    (i + tap)
        .checked_sub(taps / 2)
        .filter(|j| (first..end).contains(j))
}
