//! Embedding tables: the sum of one row of each per token, and its backward.

use crate::{
    MatMut, MatRef,
    parallel::{self, ROWS},
};

/// `y[r] = word[ids[r]] + position[positions[r]] + kind[0]`; `position` and `kind` may be absent.
pub fn embed(
    mut y: MatMut<'_>,
    ids: &[u32],
    positions: &[u32],
    word: MatRef<'_>,
    position: Option<MatRef<'_>>,
    kind: Option<MatRef<'_>>,
) {
    let cols = y.cols();
    assert_eq!((y.rows(), word.cols()), (ids.len(), cols), "embed");
    parallel::for_parts(y.data(), ROWS * cols, |i, y| {
        for (r, y) in y.chunks_exact_mut(cols).enumerate() {
            let r = i * ROWS + r;
            y.copy_from_slice(word.row(ids[r] as usize));
            let added = [
                position.map(|p| p.row(positions[r] as usize)),
                kind.map(|k| k.row(0)),
            ];
            for row in added.into_iter().flatten() {
                y.iter_mut().zip(row).for_each(|(y, x)| *y += x);
            }
        }
    });
}

/// Backward of [`embed`]: `d_word[ids[r]] += dy[r]` and so on, in the order of the rows. One thread: two tokens may share a row of a
/// table, and the work is a few additions a token.
pub fn embed_bwd(
    dy: MatRef<'_>,
    ids: &[u32],
    positions: &[u32],
    mut d_word: Option<MatMut<'_>>,
    mut d_position: Option<MatMut<'_>>,
    mut d_kind: Option<MatMut<'_>>,
) {
    assert_eq!(dy.rows(), ids.len(), "embed_bwd");
    for (r, &id) in ids.iter().enumerate() {
        add_to_row(&mut d_word, id as usize, dy.row(r));
        if d_position.is_some() {
            add_to_row(&mut d_position, positions[r] as usize, dy.row(r));
        }
        add_to_row(&mut d_kind, 0, dy.row(r));
    }
}

fn add_to_row(table: &mut Option<MatMut<'_>>, row: usize, x: &[f32]) {
    if let Some(table) = table {
        table.row(row).iter_mut().zip(x).for_each(|(t, x)| *t += x);
    }
}
