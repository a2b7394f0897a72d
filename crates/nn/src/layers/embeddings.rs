//! The embedding stage: the sum of one row per table, normalised and dropped, and projected, before or after that, where the tables
//! are of another width than the hidden states.
//!
//! Its backward needs the input of the normalisation, and mean and deviation of its rows; the input of a projection is recomputed.

use matryo_ops::{Epilogue, Lookup, LookupGradient, MatMut};

use super::{
    linear::Linear,
    norm::{Norm, STATS},
    params::{EncoderBuilder, LinearShape},
};
use crate::{
    EmbeddingSpec, NnError, Numbering, PositionSpec, Projection,
    arena::{self, Buffer},
    dropout::Site,
    families::{Axis, ParamId},
    pass::{Backward, Pass},
    weights::{TableParam, TableRows},
};

/// The embedding stage of an encoder.
#[derive(Debug)]
pub(crate) struct Embeddings {
    dim: usize,
    words: TableParam,
    positions: Option<(TableParam, PositionSpec)>,
    types: Option<TableParam>,
    tasks: Option<TableParam>,
    /// Width of the normalisation.
    normed_dim: usize,
    norm: Option<Norm>,
    projection: Option<(Projection, Linear)>,
    padding: Option<u32>,
    dropout: f32,
}

/// What the backward needs.
pub(crate) struct KeptEmbeddings {
    /// Before the normalisation, `[t, width of the tables]`, or of the hidden states behind a projection.
    pub(crate) sum: Buffer,
    /// `[t, 2]`.
    pub(crate) stats: Option<Buffer>,
}

impl Embeddings {
    /// Builds the stage for hidden states of width `dim`, dropped at the rate `dropout`.
    pub(crate) fn build(
        builder: &mut EncoderBuilder<'_, '_>,
        spec: &EmbeddingSpec,
        dim: usize,
        dropout: f32,
    ) -> Result<Self, NnError> {
        let width = (
            if spec.projection.is_some() {
                Axis::Embedding
            } else {
                Axis::Dim
            },
            spec.dim,
        );
        let words = (Axis::Vocab, spec.vocab);
        let words = builder.table(ParamId::Words, words, width, spec.tied)?;
        let mut table = |id, axis, rows| builder.table(id, (axis, rows), width, false);
        let positions = match spec.positions {
            Some(positions) => {
                let param = table(ParamId::Positions, Axis::Positions, positions.rows)?;
                Some((param, positions))
            }
            None => None,
        };
        let types = match spec.token_types {
            0 => None,
            rows => Some(table(ParamId::TokenTypes, Axis::TokenTypes, rows)?),
        };
        let tasks = match spec.task_types {
            0 => None,
            rows => Some(table(ParamId::TaskTypes, Axis::TaskTypes, rows)?),
        };
        let normed = match spec.projection {
            Some(Projection::BeforeNorm) => (Axis::Dim, dim),
            _ => width,
        };
        Ok(Self {
            dim: spec.dim,
            words,
            positions,
            types,
            tasks,
            normed_dim: normed.1,
            norm: builder.norm(ParamId::EmbeddingNorm, spec.norm, normed)?,
            projection: match spec.projection {
                Some(place) => {
                    let shape = LinearShape {
                        out: (Axis::Dim, dim),
                        input: width,
                        bias: place == Projection::AfterNorm,
                    };
                    let linear = builder.linear(ParamId::EmbeddingProjection, shape)?;
                    Some((place, linear))
                }
                None => None,
            },
            padding: spec.padding,
            dropout,
        })
    }

    /// Bytes of [`KeptEmbeddings`] for so many tokens.
    pub(crate) fn kept_bytes(&self, tokens: usize) -> usize {
        let stats = if self.norm.is_some() { STATS } else { 0 };
        arena::bytes(tokens, &[self.normed_dim, stats])
    }

    /// First hidden states `[t, dim]`, and with `keep` what the backward needs.
    pub(crate) fn forward(&self, pass: &Pass<'_>, keep: bool) -> (Buffer, Option<KeptEmbeddings>) {
        let mut sum = self.sum(pass);
        if let Some(projection) = self.projected(Projection::BeforeNorm) {
            sum = projection.forward(pass, &sum, Epilogue::default());
        }
        let (mut x, stats, sum) = match self.norm {
            Some(norm) => {
                let (x, stats) = norm.forward_kept(pass, &sum, keep);
                (x, stats, keep.then_some(sum))
            }
            None => {
                let kept = keep.then(|| pass.arena.copy(&sum));
                (sum, None, kept)
            }
        };
        pass.drop(&mut x, pass.masks.at(self.dropout, 0, Site::Embeddings));
        if let Some(projection) = self.projected(Projection::AfterNorm) {
            x = projection.forward(pass, &x, Epilogue::default());
        }
        (x, sum.map(|sum| KeptEmbeddings { sum, stats }))
    }

    /// Adds the gradients of tables, normalisation and projection.
    pub(crate) fn backward(&self, cx: &mut Backward<'_>, kept: &KeptEmbeddings, mut dy: Buffer) {
        if let Some(projection) = self.projected(Projection::AfterNorm) {
            let x = self.before_projection(&cx.pass, kept);
            let mut dx = cx.pass.arena.take(x.rows(), x.cols());
            let wanted = Some(dx.view_mut().into());
            projection.backward(cx, wanted, dy.view(), x.view());
            dy = dx;
        }
        let dropout = cx.pass.masks.at(self.dropout, 0, Site::Embeddings);
        cx.pass.drop(&mut dy, dropout);
        let mut d_sum = match (self.norm, &kept.stats) {
            (Some(norm), Some(stats)) => norm.backward(cx, &dy, &kept.sum, stats, None),
            _ => dy,
        };
        if let Some(projection) = self.projected(Projection::BeforeNorm) {
            let x = self.sum(&cx.pass);
            let mut dx = cx.pass.arena.take(x.rows(), x.cols());
            let wanted = Some(dx.view_mut().into());
            projection.backward(cx, wanted, d_sum.view(), x.view());
            d_sum = dx;
        }
        self.tables_backward(cx, &d_sum);
    }

    /// The projection, if it stands in this place.
    fn projected(&self, place: Projection) -> Option<Linear> {
        let (found, linear) = self.projection?;
        (found == place).then_some(linear)
    }

    /// Input of the projection behind the normalisation, recomputed.
    fn before_projection(&self, pass: &Pass<'_>, kept: &KeptEmbeddings) -> Buffer {
        let mut x = match self.norm {
            Some(norm) => norm.forward(pass, &kept.sum),
            None => pass.arena.copy(&kept.sum),
        };
        pass.drop(&mut x, pass.masks.at(self.dropout, 0, Site::Embeddings));
        x
    }

    /// Sum of a row per table for each token.
    fn sum(&self, pass: &Pass<'_>) -> Buffer {
        let parts = self.parts(pass);
        let gathered: Vec<(TableRows<'_>, &[u32])> = parts
            .iter()
            .map(|(param, rows)| (pass.weights.rows(*param, rows, pass.arena), &**rows))
            .collect();
        // Row numbers of what was gathered: one after the other.
        let in_order: Vec<u32> = (0..pass.tokens() as u32).collect();
        let lookups: Vec<Lookup<'_>> = gathered
            .iter()
            .map(|(table, rows)| match table {
                TableRows::Whole(table) => Lookup {
                    table: *table,
                    rows,
                },
                TableRows::Gathered(buffer) => Lookup {
                    table: buffer.view(),
                    rows: &in_order,
                },
            })
            .collect();
        let mut sum = pass.arena.take(pass.tokens(), self.dim);
        pass.ops.embed(sum.view_mut(), &lookups);
        sum
    }

    fn tables_backward(&self, cx: &mut Backward<'_>, d_sum: &Buffer) {
        let parts = self.parts(&cx.pass);
        let ops = cx.pass.ops;
        for (param, rows) in &parts {
            let tensor = param.tensor;
            let frozen_row = self.frozen_row(*param);
            if let Some(d_table) = cx.grads.write_rows(tensor, rows) {
                let mut gradients = [LookupGradient {
                    d_table: MatMut::new(tensor.rows, tensor.cols, d_table),
                    rows,
                    frozen_row,
                }];
                ops.embed_bwd(d_sum.view(), &mut gradients);
            }
        }
    }

    /// Each table with the row that every token reads.
    fn parts(&self, pass: &Pass<'_>) -> Vec<(TableParam, Vec<u32>)> {
        let batch = pass.batch;
        let mut parts = vec![(self.words, batch.ids.clone())];
        if let Some((param, spec)) = self.positions {
            parts.push((param, numbered(spec.numbering, pass)));
        }
        if let Some(param) = self.types {
            // A table of one row has one type for whatever a tokenizer calls its second text.
            let types = if param.tensor.rows == 1 || batch.types.is_empty() {
                vec![0; batch.tokens()]
            } else {
                batch.types.clone()
            };
            parts.push((param, types));
        }
        if let Some(param) = self.tasks {
            parts.push((param, vec![0; batch.tokens()]));
        }
        parts
    }

    /// The padding token's row gets no gradient (`padding_idx`), in the word table and in a position table that is numbered
    /// by it.
    fn frozen_row(&self, param: TableParam) -> Option<u32> {
        if param.index == self.words.index {
            return self.padding;
        }
        match self.positions {
            Some((positions, spec)) if positions.index == param.index => match spec.numbering {
                Numbering::FromZero => None,
                Numbering::AfterPadding(padding) => Some(padding),
            },
            _ => None,
        }
    }
}

/// The row of the position table that each token reads.
fn numbered(numbering: Numbering, pass: &Pass<'_>) -> Vec<u32> {
    match numbering {
        Numbering::FromZero => pass.places.clone(),
        Numbering::AfterPadding(padding) => {
            let texts = pass.batch.bounds.windows(2);
            texts
                .flat_map(|bounds| {
                    let ids = &pass.batch.ids[bounds[0] as usize..bounds[1] as usize];
                    after_padding(ids, padding)
                })
                .collect()
        }
    }
}

fn after_padding(ids: &[u32], padding: u32) -> Vec<u32> {
    let mut last = padding;
    ids.iter()
        .map(|&id| {
            if id == padding {
                return padding;
            }
            last += 1;
            last
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `create_position_ids_from_input_ids` of transformers numbers them.
    #[test]
    fn padding_tokens_inside_a_text_are_not_counted() {
        assert_eq!(after_padding(&[0, 5, 6, 2], 1), [2, 3, 4, 5]);
        assert_eq!(after_padding(&[0, 1, 6, 1, 2], 1), [2, 1, 3, 1, 4]);
        assert_eq!(after_padding(&[7, 3, 8], 3), [4, 3, 5]);
        assert_eq!(after_padding(&[], 1), [] as [u32; 0]);
    }
}
