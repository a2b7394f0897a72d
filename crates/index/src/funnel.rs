//! Few values of every vector, then more values of few vectors.
//!
//! Made for vectors whose first values carry the most (Matryoshka representation learning, Kusupati et al. 2022, which calls this
//! funnel retrieval): the first stage reads a fraction of the memory of a full search, the others next to none.

use matryo_kernels::{Level, MatRef};
use rayon::prelude::*;

use crate::{FlatIndex, Hit, IndexError, Metric, Stage, Stages, Storage, exact};

/// A search in stages: the first looks at a prefix of every row, each later one at a longer prefix of the candidates that are left.
///
/// With cosine every prefix is scaled to length 1 for itself. Stages after the first score with the floats of `vectors`, so the hits
/// have exact scores unless the only stage is in fewer bits. Rows that no stage drops wrongly are found: [`crate::recall`] against
/// [`FlatIndex::search`] says how many.
#[derive(Clone, Debug)]
pub struct Funnel<'a> {
    stages: Stages,
    metric: Metric,
    level: Level,
    vectors: MatRef<'a>,
    /// The first stage's prefixes, side by side.
    prefixes: FlatIndex<'a>,
}

impl<'a> Funnel<'a> {
    /// A funnel over `vectors` `[rows, dim]`, whose first stage keeps its prefixes in `storage`, in a copy unless they are whole rows of floats.
    pub fn new(
        vectors: MatRef<'a>,
        stages: Stages,
        storage: Storage,
        metric: Metric,
    ) -> Result<Self, IndexError> {
        stages.check(vectors.cols())?;
        let prefixes = vectors.first_cols(stages.first().dim);
        let prefixes = if prefixes.cols() == vectors.cols() {
            FlatIndex::new(prefixes, storage, metric)
        } else {
            FlatIndex::copied(prefixes, storage, metric)
        };
        Ok(Self {
            stages,
            metric,
            level: Level::chosen(),
            vectors,
            prefixes,
        })
    }

    /// The same funnel, searched with another instruction set; searches panic if this processor lacks it.
    pub fn with_level(self, level: Level) -> Self {
        Self {
            level,
            prefixes: self.prefixes.with_level(level),
            ..self
        }
    }

    /// Its stages.
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Bytes that the first stage reads.
    pub fn bytes(&self) -> usize {
        self.prefixes.bytes()
    }

    /// The best rows for each row of `queries` `[queries, dim]`, best first: as many as the last stage keeps.
    pub fn search(&self, queries: MatRef<'_>) -> Vec<Vec<Hit>> {
        assert_eq!(queries.cols(), self.vectors.cols(), "width of the queries");
        let (first, later) = (self.stages.first(), &self.stages.as_slice()[1..]);
        let prefixes = queries.first_cols(first.dim);
        let Some((last, middle)) = later.split_last() else {
            return self.prefixes.search(prefixes, first.candidates);
        };
        let mut candidates = self
            .prefixes
            .candidates(&self.metric.prepare(prefixes), first.candidates);
        for stage in middle {
            candidates = self
                .narrow(queries, &candidates, *stage)
                .into_iter()
                .map(exact::rows_of)
                .collect();
        }
        self.narrow(queries, &candidates, *last)
    }

    /// The best candidates of each query, by as many values as the stage looks at.
    fn narrow(&self, queries: MatRef<'_>, candidates: &[Vec<u32>], stage: Stage) -> Vec<Vec<Hit>> {
        let (queries, rows) = (
            self.metric.prepare(queries.first_cols(stage.dim)),
            self.vectors.first_cols(stage.dim),
        );
        let narrow = |(query, candidates): (usize, &Vec<u32>)| {
            exact::best_of(
                self.level,
                self.metric,
                queries.row(query),
                rows,
                candidates,
                stage.candidates,
            )
        };
        candidates.par_iter().enumerate().map(narrow).collect()
    }
}
