//! What the index misses: its answers beside those of comparing with every vector.

use std::{collections::HashSet, time::Duration, time::Instant};

use crate::{Collection, CollectionError, SearchOptions, search::Searcher};

/// Answers of the index beside the exact ones.
#[derive(Clone, Copy, Debug)]
pub struct Recall {
    /// Questions asked.
    pub queries: usize,
    /// Documents wanted for each.
    pub k: usize,
    /// Share of the exact answers that the index found; 1 if there are none.
    pub recall: f64,
    /// Time of a question to the index: median.
    pub indexed: Duration,
    /// Time of an exact answer: median.
    pub exact: Duration,
}

impl Searcher<'_> {
    /// Asks each question twice, as `options` say and exactly.
    pub fn recall<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        options: &SearchOptions,
    ) -> Result<Recall, CollectionError> {
        let exactly = SearchOptions {
            exact: true,
            stages: None,
            ..options.clone()
        };
        let (mut found, mut wanted) = (0, 0);
        let (mut indexed, mut exact) = (Vec::new(), Vec::new());
        for text in texts {
            let answers = timed(&mut indexed, || self.search(text.as_ref(), options))?;
            let right = timed(&mut exact, || self.search(text.as_ref(), &exactly))?;
            let answers: HashSet<_> = answers.iter().map(|found| &found.id).collect();
            found += right
                .iter()
                .filter(|right| answers.contains(&right.id))
                .count();
            wanted += right.len();
        }
        Ok(Recall {
            queries: texts.len(),
            k: options.limit,
            recall: if wanted == 0 {
                1.0
            } else {
                found as f64 / wanted as f64
            },
            indexed: median(indexed),
            exact: median(exact),
        })
    }
}

impl Collection {
    /// Texts of `count` chunks, to ask for when there are no questions. Their order is that of digests: as good as random.
    pub fn sample(&self, count: usize) -> Result<Vec<String>, CollectionError> {
        let (points, _) = self.backend().scroll(None, None, count, false)?;
        let text = |point: &crate::point::Point| {
            Some(point.payload.get(crate::point::TEXT)?.as_str()?.to_owned())
        };
        Ok(points
            .iter()
            .filter_map(text)
            .filter(|text| !text.trim().is_empty())
            .collect())
    }
}

fn timed<T>(times: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    times.push(started.elapsed());
    done
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
