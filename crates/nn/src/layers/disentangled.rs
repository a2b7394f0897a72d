//! Terms of the scores of content and distance (He et al. 2021), from a table of distances that all blocks share.
//!
//! The rows that occur in a batch are normalised, dropped and projected in each block: by its own layer of queries, keys and values, or
//! by layers for distances. A step keeps nothing of it: the backward makes them anew, a few hundred rows. A model that is only used keeps
//! the vectors (`distance_cache.rs`).

use std::{ops::Range, sync::Arc};

use matryo_ops::{Disentangled as DistanceArgs, Epilogue, LookupGradient, Mat, MatMut, MatRef};

use super::{
    block::BlockPlace,
    distance_cache::{CachedVectors, DistanceCache},
    linear::Linear,
    norm::Norm,
    params::{EncoderBuilder, LinearShape},
};
use crate::{
    DisentangledSpec, DropoutSpec, NnError,
    arena::{self, Buffer},
    dropout::TableMask,
    families::{Axis, ParamId},
    pass::{Backward, Pass},
    weights::{TableParam, TableRows},
};

/// The distances of one block.
#[derive(Debug)]
pub(crate) struct Disentangled {
    block: usize,
    /// `[2 span, dim]`.
    table: TableParam,
    norm: Option<Norm>,
    /// Without one, the block's layer of queries, keys and values is used.
    projection: Option<Linear>,
    spec: DisentangledSpec,
    /// Width of all heads.
    width: usize,
    dropout: f32,
    cache: DistanceCache,
}

/// The vectors of the distances of a batch.
pub(crate) struct Distances {
    vectors: Vectors,
    /// Row of the vectors that each distance has, from that of the first query to the last key on.
    places: Vec<u32>,
}

/// `[rows, parts * width]`.
enum Vectors {
    Own(Buffer),
    Cached(Arc<CachedVectors>),
}

/// The distances of a batch on their way through one block.
pub(crate) struct DistanceInputs {
    /// Rows of the table that occur.
    rows: Range<usize>,
    /// The rows of the table that occur, `[rows, dim]`.
    input: Buffer,
    /// Statistics of the normalisation, if there is one and a backward will follow.
    stats: Option<Buffer>,
    /// Input of the projection; `None` if that is `input`.
    projected: Option<Buffer>,
}

impl Distances {
    fn vectors(&self) -> MatRef<'_> {
        match &self.vectors {
            Vectors::Own(vectors) => vectors.view(),
            Vectors::Cached(cached) => cached.vectors.view(),
        }
    }
}

impl Disentangled {
    pub(crate) fn build(
        builder: &mut EncoderBuilder<'_, '_>,
        place: BlockPlace,
        spec: DisentangledSpec,
        (width, dim): (usize, usize),
        dropout: &DropoutSpec,
    ) -> Result<Self, NnError> {
        let dim = (Axis::Dim, dim);
        let rows = (Axis::Distances, 2 * spec.span());
        let projections: Vec<ParamId> = [
            (spec.for_keys, ParamId::DistanceQueries(place.weights)),
            (spec.for_queries, ParamId::DistanceKeys(place.weights)),
        ]
        .into_iter()
        .filter_map(|(present, id)| present.then_some(id))
        .collect();
        let shape = LinearShape {
            out: (Axis::Attention, projections.len() * width),
            input: dim,
            bias: true,
        };
        Ok(Self {
            block: place.index,
            table: builder.table(ParamId::Distances, rows, dim, false)?,
            norm: builder.norm(ParamId::DistanceNorm, spec.norm, dim)?,
            projection: match spec.shared {
                true => None,
                false => Some(builder.stacked(&projections, shape)?),
            },
            spec,
            width,
            dropout: dropout.distances,
            cache: DistanceCache::default(),
        })
    }

    /// The vectors of all distances of a batch; `qkv` is the block's layer of queries, keys and values.
    pub(crate) fn forward(&self, pass: &Pass<'_>, qkv: &Linear) -> Distances {
        if !pass.weights.are_constant() {
            return self.forward_kept(pass, qkv, false).0;
        }
        let reach = reach(pass);
        let cached = self.cache.reaching(reach, |reach| {
            let rows = self.rows(reach);
            let (vectors, _) = self.project(pass, qkv, rows.clone(), false);
            (rows, self.used(vectors.view()))
        });
        Distances {
            places: self.places(reach, cached.rows.start),
            vectors: Vectors::Cached(cached),
        }
    }

    /// As [`Self::forward`], with what was on the way there; with `keep`, a backward follows.
    pub(crate) fn forward_kept(
        &self,
        pass: &Pass<'_>,
        qkv: &Linear,
        keep: bool,
    ) -> (Distances, DistanceInputs) {
        let reach = reach(pass);
        let rows = self.rows(reach);
        let places = self.places(reach, rows.start);
        let (vectors, inputs) = self.project(pass, qkv, rows, keep);
        let vectors = Vectors::Own(vectors);
        (Distances { vectors, places }, inputs)
    }

    /// Normalises, drops and projects some rows of the table.
    fn project(
        &self,
        pass: &Pass<'_>,
        qkv: &Linear,
        rows: Range<usize>,
        keep: bool,
    ) -> (Buffer, DistanceInputs) {
        let input = self.table_rows(pass, &rows);
        let (normed, stats) = match self.norm {
            Some(norm) => {
                let (normed, stats) = norm.forward_kept(pass, &input, keep);
                (Some(normed), stats)
            }
            None => (None, None),
        };
        let projected = match self.mask(pass, &rows) {
            Some(mask) => {
                let mut dropped = normed.unwrap_or_else(|| pass.arena.copy(&input));
                pass.drop(&mut dropped, Some(mask.dropout()));
                Some(dropped)
            }
            None => normed,
        };
        let linear = self.projection.as_ref().unwrap_or(qkv);
        let x = projected.as_ref().unwrap_or(&input);
        let vectors = linear.forward(pass, x, Epilogue::default());
        let inputs = DistanceInputs {
            rows,
            input,
            stats,
            projected,
        };
        (vectors, inputs)
    }

    /// A copy of the columns that the attention reads: a block's own layer also makes values.
    fn used(&self, vectors: MatRef<'_>) -> Mat {
        let used = vectors.cols().min(2 * self.width);
        vectors.first_cols(used).to_mat()
    }

    /// What the attention is given.
    pub(crate) fn args<'d>(&self, distances: &'d Distances) -> DistanceArgs<'d> {
        let DisentangledSpec {
            for_queries,
            for_keys,
            shared,
            ..
        } = self.spec;
        // Queries come first, as in the fused layer; there is room for them if that is it, or if they are used.
        let keys_at = if shared || for_keys { self.width } else { 0 };
        DistanceArgs {
            vectors: distances.vectors(),
            for_queries: for_queries.then_some(keys_at),
            for_keys: for_keys.then_some(0),
            rows: &distances.places,
        }
    }

    /// A gradient of the vectors, to be added to.
    pub(crate) fn zero_gradient(&self, pass: &Pass<'_>, distances: &Distances) -> Buffer {
        let vectors = distances.vectors();
        pass.arena.zeros(vectors.rows(), vectors.cols())
    }

    /// Adds the gradients of projection, normalisation and table, given that of the vectors.
    pub(crate) fn backward(
        &self,
        cx: &mut Backward<'_>,
        qkv: &Linear,
        inputs: DistanceInputs,
        d_vectors: &Buffer,
    ) {
        let DistanceInputs {
            rows,
            input,
            stats,
            projected,
        } = inputs;
        let linear = self.projection.as_ref().unwrap_or(qkv);
        let x = projected.as_ref().unwrap_or(&input);
        let mut d = cx.pass.arena.take(x.rows(), x.cols());
        let wanted = Some(d.view_mut().into());
        linear.backward(cx, wanted, d_vectors.view(), x.view());
        if let Some(mask) = self.mask(&cx.pass, &rows) {
            cx.pass.drop(&mut d, Some(mask.dropout()));
        }
        if let (Some(norm), Some(stats)) = (self.norm, &stats) {
            d = norm.backward(cx, &d, &input, stats, None);
        }
        let (ops, tensor) = (cx.pass.ops, self.table.tensor);
        let ids: Vec<u32> = rows.map(|row| row as u32).collect();
        if let Some(d_table) = cx.grads.write_rows(tensor, &ids) {
            let gradient = LookupGradient {
                d_table: MatMut::new(tensor.rows, tensor.cols, d_table),
                rows: &ids,
                frozen_row: None,
            };
            ops.embed_bwd(d.view(), &mut [gradient]);
        }
    }

    /// Bytes of [`Distances`] and [`DistanceInputs`] in a batch of so many tokens, and with `backward` of the gradient of the vectors, at most. Gradients as wide
    /// as the hidden states find buffers that the block's other half has given back.
    pub(crate) fn bytes(&self, tokens: usize, qkv: &Linear, backward: bool) -> usize {
        let rows = (2 * tokens).min(self.table.tensor.rows);
        let dim = self.table.tensor.cols;
        let vectors = self.projection.as_ref().unwrap_or(qkv).out();
        let of_vectors = if backward { 2 * vectors } else { vectors };
        arena::bytes(rows, &[2 * dim, of_vectors])
    }

    /// Number of terms, and of rows for the distances in a text of `len` tokens.
    pub(crate) fn terms_and_rows(&self, len: usize) -> (usize, usize) {
        let terms = usize::from(self.spec.for_queries) + usize::from(self.spec.for_keys);
        (terms, self.rows(len.saturating_sub(1) as i64).len())
    }

    /// The mask of the table's rows, the same for all texts of a batch.
    fn mask(&self, pass: &Pass<'_>, rows: &Range<usize>) -> Option<TableMask> {
        pass.masks.of_table(self.dropout, self.block, rows.clone())
    }

    /// A copy of some rows of the table.
    fn table_rows(&self, pass: &Pass<'_>, rows: &Range<usize>) -> Buffer {
        let ids: Vec<u32> = rows.clone().map(|row| row as u32).collect();
        match pass.weights.rows(self.table, &ids, pass.arena) {
            TableRows::Gathered(buffer) => buffer,
            TableRows::Whole(table) => {
                let mut copy = pass.arena.take(rows.len(), table.cols());
                let values = table.row_range(rows.start, rows.end);
                let cols = table.cols();
                for (i, row) in copy.data_mut().chunks_exact_mut(cols).enumerate() {
                    row.copy_from_slice(values.row(i));
                }
                copy
            }
        }
    }

    /// Rows of the table for all distances from `-reach` to `reach`.
    fn rows(&self, reach: i64) -> Range<usize> {
        self.spec.row(-reach)..self.spec.row(reach) + 1
    }

    /// Which row each distance from `-reach` to `reach` has, counted from `first`.
    fn places(&self, reach: i64, first: usize) -> Vec<u32> {
        let place = |distance| (self.spec.row(distance) - first) as u32;
        (-reach..=reach).map(place).collect()
    }
}

/// The farthest distance in a batch.
fn reach(pass: &Pass<'_>) -> i64 {
    let farthest = pass.places.iter().max();
    farthest.map_or(0, |&place| i64::from(place))
}
