//! All rows of a corpus in memory, searched one by one.

use std::ops::Range;

use matryo_kernels::{Level, Mat, MatMut, MatRef, Operand, matmul, scan_f32};
use rayon::prelude::*;

use crate::{
    Hit, Metric, Storage,
    bits::{BitRows, BitScore},
    exact,
    int8::{Int8Rows, Int8Score},
    pass::{self, Score},
    search::semantic_search,
};

/// Queries up to which floats are scanned: for more, packing the corpus for a matrix product is the smaller cost.
const FEW: usize = 16;

/// Rows in memory, as floats or in fewer bits, and their exact search.
///
/// A search looks at every row: it finds the best by the score of what is stored. Ties, and the order of equal scores, are those of
/// [`crate::semantic_search`]. Few queries are scanned, many queries of floats are multiplied as matrices; both round differently in the last
/// bits of a float, so rows whose scores differ by less may change places. Neither the number of threads nor that of
/// queries changes anything else. Integers (`Int8`, `Ubinary`) are exact at every instruction set.
#[derive(Clone, Debug)]
pub struct FlatIndex<'a> {
    level: Level,
    metric: Metric,
    rows: Rows<'a>,
}

#[derive(Clone, Debug)]
enum Rows<'a> {
    Borrowed(MatRef<'a>),
    Owned(Mat),
    Int8(Int8Rows),
    Bits(BitRows),
}

/// Candidates that are scored again.
#[derive(Clone, Copy, Debug)]
pub struct Rescore<'a> {
    /// Candidates, in units of the hits that are asked for: `rescore_multiplier` of sentence_transformers/util/quantization.py, where it is 2.
    pub multiplier: usize,
    /// The vectors before they were stored, one a row, to score the candidates exactly. Without them the query, in floats, is scored
    /// against what is stored, as upstream does: bytes times their scale, bits as 0 and 1.
    pub vectors: Option<MatRef<'a>>,
}

impl Default for Rescore<'_> {
    fn default() -> Self {
        Self {
            multiplier: 2,
            vectors: None,
        }
    }
}

impl<'a> FlatIndex<'a> {
    /// Stores `vectors` `[rows, dim]`. `Float32` with `Metric::Dot` borrows them as they lie, everything else is a copy: for vectors that have
    /// length 1 already, `Metric::Dot` gives cosines without one.
    pub fn new(vectors: MatRef<'a>, storage: Storage, metric: Metric) -> Self {
        let rows = match (storage, metric) {
            (Storage::Float32, Metric::Dot) => Rows::Borrowed(vectors),
            (Storage::Float32, Metric::Cosine) => Rows::Owned(metric.prepare(vectors)),
            (Storage::Int8, _) => Rows::Int8(Int8Rows::new(vectors, metric)),
            (Storage::Ubinary, _) => Rows::Bits(BitRows::new(vectors)),
        };
        Self {
            level: Level::chosen(),
            metric,
            rows,
        }
    }

    /// The same with a copy in any case.
    pub fn copied(vectors: MatRef<'_>, storage: Storage, metric: Metric) -> FlatIndex<'static> {
        let rows = match storage {
            Storage::Float32 => Rows::Owned(metric.prepare(vectors)),
            Storage::Int8 => Rows::Int8(Int8Rows::new(vectors, metric)),
            Storage::Ubinary => Rows::Bits(BitRows::new(vectors)),
        };
        FlatIndex {
            level: Level::chosen(),
            metric,
            rows,
        }
    }

    /// The same index, searched with another instruction set; searches panic if this processor lacks it.
    pub fn with_level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Borrowed(rows) => rows.rows(),
            Rows::Owned(rows) => rows.rows(),
            Rows::Int8(rows) => rows.rows(),
            Rows::Bits(rows) => rows.rows(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values of a vector.
    pub fn dim(&self) -> usize {
        match &self.rows {
            Rows::Borrowed(rows) => rows.cols(),
            Rows::Owned(rows) => rows.cols(),
            Rows::Int8(rows) => rows.dim(),
            Rows::Bits(rows) => rows.dim(),
        }
    }

    /// Bytes that a search reads, scales included.
    pub fn bytes(&self) -> usize {
        match &self.rows {
            Rows::Borrowed(_) | Rows::Owned(_) => self.len() * self.dim() * size_of::<f32>(),
            Rows::Int8(rows) => rows.bytes(),
            Rows::Bits(rows) => rows.bytes(),
        }
    }

    /// The `k` best rows for each row of `queries` `[queries, dim]`, best first. Scores are cosines or dot products, of `Int8` approximate
    /// ones, of `Ubinary` negative Hamming distances.
    pub fn search(&self, queries: MatRef<'_>, k: usize) -> Vec<Vec<Hit>> {
        assert_eq!(queries.cols(), self.dim(), "width of the queries");
        self.search_prepared(&self.metric.prepare(queries), k)
    }

    /// [`Self::search`] for more rows than are wanted, of which the best by a better score are kept. Floats gain nothing from it.
    pub fn search_rescored(
        &self,
        queries: MatRef<'_>,
        k: usize,
        rescore: Rescore<'_>,
    ) -> Vec<Vec<Hit>> {
        assert_eq!(queries.cols(), self.dim(), "width of the queries");
        if let Some(vectors) = rescore.vectors {
            assert_eq!(
                (vectors.rows(), vectors.cols()),
                (self.len(), self.dim()),
                "vectors to rescore with"
            );
        }
        let queries = self.metric.prepare(queries);
        let candidates = self.candidates(&queries, k.saturating_mul(rescore.multiplier.max(1)));
        let again = |(query, candidates): (usize, &Vec<u32>)| match rescore.vectors {
            Some(vectors) => exact::best_of(
                self.level,
                self.metric,
                queries.row(query),
                vectors,
                candidates,
                k,
            ),
            None => self.rescore_stored(queries.row(query), candidates, k),
        };
        candidates.par_iter().enumerate().map(again).collect()
    }

    /// Candidates as floats, side by side, scored: not much for the few that they are.
    fn rescore_stored(&self, query: &[f32], candidates: &[u32], k: usize) -> Vec<Hit> {
        let mut values = Mat::zeros(candidates.len(), self.dim());
        for (i, &row) in candidates.iter().enumerate() {
            match &self.rows {
                Rows::Borrowed(rows) => values.row_mut(i).copy_from_slice(rows.row(row as usize)),
                Rows::Owned(rows) => values.row_mut(i).copy_from_slice(rows.row(row as usize)),
                Rows::Int8(rows) => rows.unpack(row as usize, values.row_mut(i)),
                Rows::Bits(rows) => rows.unpack(row as usize, values.row_mut(i)),
            }
        }
        let mut scores = Mat::zeros(1, candidates.len());
        scan_f32(
            self.level,
            scores.view_mut(),
            MatRef::new(1, query.len(), query),
            values.view(),
        );
        exact::best_scored(candidates, scores.row(0), k)
    }

    fn search_prepared(&self, queries: &Mat, k: usize) -> Vec<Vec<Hit>> {
        match &self.rows {
            Rows::Borrowed(rows) => self.search_floats(queries, *rows, k),
            Rows::Owned(rows) => self.search_floats(queries, rows.view(), k),
            Rows::Int8(rows) => pass::best(&Int8Score::new(self.level, queries, rows), k),
            Rows::Bits(rows) => pass::best(&BitScore::new(self.level, queries, rows), k),
        }
    }

    /// The rows that [`Self::search`] finds, ascending; queries as the metric wants them.
    pub(crate) fn candidates(&self, queries: &Mat, k: usize) -> Vec<Vec<u32>> {
        match &self.rows {
            Rows::Int8(rows) => pass::candidates(&Int8Score::new(self.level, queries, rows), k),
            Rows::Bits(rows) => pass::candidates(&BitScore::new(self.level, queries, rows), k),
            Rows::Borrowed(rows) => self.float_candidates(queries, *rows, k),
            Rows::Owned(rows) => self.float_candidates(queries, rows.view(), k),
        }
    }

    fn float_candidates(&self, queries: &Mat, rows: MatRef<'_>, k: usize) -> Vec<Vec<u32>> {
        if queries.rows() <= FEW {
            return pass::candidates(
                &FloatScore {
                    level: self.level,
                    queries: queries.view(),
                    rows,
                },
                k,
            );
        }
        self.search_floats(queries, rows, k)
            .into_iter()
            .map(exact::rows_of)
            .collect()
    }

    fn search_floats(&self, queries: &Mat, rows: MatRef<'_>, k: usize) -> Vec<Vec<Hit>> {
        if queries.rows() <= FEW {
            return pass::best(
                &FloatScore {
                    level: self.level,
                    queries: queries.view(),
                    rows,
                },
                k,
            );
        }
        semantic_search(queries.view(), rows, k, |queries, rows| {
            let mut scores = Mat::zeros(queries.rows(), rows.rows());
            matmul(
                self.level,
                scores.view_mut(),
                Operand::Normal(queries),
                Operand::Transposed(rows),
                1.0,
            );
            scores
        })
    }
}

struct FloatScore<'a> {
    level: Level,
    queries: MatRef<'a>,
    rows: MatRef<'a>,
}

impl Score for FloatScore<'_> {
    fn queries(&self) -> usize {
        self.queries.rows()
    }

    fn rows(&self) -> usize {
        self.rows.rows()
    }

    fn score(&self, queries: Range<usize>, rows: Range<usize>, scores: &mut [f32], _: &mut [i32]) {
        let scores = MatMut::new(queries.len(), rows.len(), scores);
        let queries = self.queries.row_range(queries.start, queries.end);
        scan_f32(
            self.level,
            scores,
            queries,
            self.rows.row_range(rows.start, rows.end),
        );
    }
}
