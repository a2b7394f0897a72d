//! Rotary position embedding, by the formulas of [`crate::rotary`].

use crate::Rotary;

/// Rotates pairs of columns of each head by the angles of the row's position.
pub fn rotary(args: Rotary<'_>) {
    let Rotary {
        mut x,
        heads,
        head_dim,
        positions,
        table,
        inverse,
    } = args;
    let half = head_dim / 2;
    for (row, &position) in positions.iter().enumerate() {
        let angles = table.row(position as usize);
        for head in 0..heads {
            for c in 0..half {
                let cos = f64::from(angles[c]);
                let mut sin = f64::from(angles[half + c]);
                if inverse {
                    sin = -sin;
                }
                let x = &mut x.row(row)[head * head_dim..(head + 1) * head_dim];
                let a = f64::from(x[c]);
                let b = f64::from(x[c + half]);
                x[c] = (a * cos - b * sin) as f32;
                x[c + half] = (b * cos + a * sin) as f32;
            }
        }
    }
}
