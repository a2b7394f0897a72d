//! A collection moved to another place, usually a server, and looked at there.

use matryo_base::Progress;
use serde_json::Value;

use crate::{
    Collection, CollectionError, Place, SearchOptions,
    backend::{DenseStage, Query},
    point::Point,
};

/// Points whose answers are compared.
const SAMPLE: usize = 20;

/// Two scores of one pair, computed by different programs, differ by no more.
const TOLERANCE: f32 = 1e-4;

/// What was copied and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushReport {
    /// Points copied.
    pub points: usize,
    /// Questions whose answers were compared.
    pub compared: usize,
}

impl Collection {
    /// Copies every point to `target`, which is made if it is not there; then compares the number of points, and the scores of
    /// the exact answers to a sample of questions. `progress` receives how many points are copied, and how many there are.
    /// May be called again after an interruption: points have ids of their own.
    ///
    /// # Errors
    /// A target with another description; [`CollectionError::Copy`] if the copy answers differently.
    pub fn push(
        &self,
        target: &Place,
        progress: Progress<'_>,
    ) -> Result<PushReport, CollectionError> {
        let copy = match Self::find(target)? {
            Some(copy) if copy.manifest() == self.manifest() => copy,
            Some(copy) => {
                return Err(differs(
                    "description",
                    &description(&copy),
                    &description(self),
                ));
            }
            None => Self::create(target, self.manifest().clone())?,
        };
        let total = self.backend().count(None)?;
        let mut points = 0;
        let mut sample: Vec<Point> = Vec::new();
        self.each_page(None, true, |page| {
            sample.extend(page.iter().take(SAMPLE - sample.len().min(SAMPLE)).cloned());
            points += page.len();
            copy.backend().upsert(page)?;
            progress.advance(points, total);
            Ok(())
        })?;
        let found = copy.backend().count(None)?;
        if found != points {
            return Err(differs(
                "number of points",
                &found.to_string(),
                &points.to_string(),
            ));
        }
        sample
            .iter()
            .try_for_each(|point| self.compare(&copy, point))?;
        Ok(PushReport {
            points,
            compared: sample.len(),
        })
    }

    /// The neighbours of a stored vector must have the same scores here and there. Of equal scores, places may order ids
    /// differently.
    fn compare(&self, copy: &Self, point: &Point) -> Result<(), CollectionError> {
        let limit = SearchOptions::default().limit;
        let stage = |(name, vector): &(String, Vec<f32>)| DenseStage {
            name: name.clone(),
            vector: vector.clone(),
            keep: limit,
        };
        let whole = self.manifest().dim().to_string();
        let query = Query {
            stages: point
                .vectors
                .iter()
                .filter(|(name, _)| *name == whole)
                .map(stage)
                .collect(),
            words: None,
            filter: None,
            effort: None,
            limit,
            exact: true,
            storage: self.manifest().storage,
        };
        let scores = |of: &Self| -> Result<Vec<f32>, CollectionError> {
            Ok(of
                .backend()
                .query(&query)?
                .iter()
                .map(|scored| scored.score)
                .collect())
        };
        let (here, there) = (scores(self)?, scores(copy)?);
        let same = here.len() == there.len()
            && here
                .iter()
                .zip(&there)
                .all(|(a, b)| (a - b).abs() <= TOLERANCE);
        if same {
            Ok(())
        } else {
            Err(differs(
                &format!("answer to {}", point.id),
                &format!("{there:?}"),
                &format!("{here:?}"),
            ))
        }
    }
}

fn description(of: &Collection) -> String {
    serde_json::to_value(of.manifest())
        .as_ref()
        .map(Value::to_string)
        .unwrap_or_default()
}

fn differs(what: &str, found: &str, expected: &str) -> CollectionError {
    CollectionError::Copy {
        what: what.to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
}
