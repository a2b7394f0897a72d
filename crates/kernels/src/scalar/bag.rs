//! Means of a table's rows, and the scatter that is their backward.

use crate::{Lookup, LookupGradient, MatMut, MatRef, Spans};

/// `y[i]` = mean of `table[rows[r]]` over the tokens of text `i`.
pub fn bag(mut y: MatMut<'_>, lookup: Lookup<'_>, spans: Spans<'_>) {
    for text in 0..y.rows() {
        let rows = &lookup.rows[spans.rows(text)];
        for (col, y) in y.row(text).iter_mut().enumerate() {
            let value = |row: &u32| f64::from(lookup.table.row(*row as usize)[col]);
            *y = (rows.iter().map(value).sum::<f64>() / rows.len().max(1) as f64) as f32;
        }
    }
}

/// `d_table[i] += sum of dy / tokens of the text` over the tokens with `rows[r] = i`, but for the frozen row.
pub fn bag_bwd(mut gradient: LookupGradient<'_>, dy: MatRef<'_>, spans: Spans<'_>) {
    for i in 0..gradient.d_table.rows() {
        if gradient.frozen_row == Some(i as u32) {
            continue;
        }
        for col in 0..dy.cols() {
            let of_text = |text: usize| {
                let rows = &gradient.rows[spans.rows(text)];
                let times = rows.iter().filter(|row| **row as usize == i).count();
                f64::from(dy.row(text)[col]) * times as f64 / rows.len().max(1) as f64
            };
            let sum: f64 = (0..dy.rows()).map(of_text).sum();
            let d = &mut gradient.d_table.row(i)[col];
            *d = (f64::from(*d) + sum) as f32;
        }
    }
}
