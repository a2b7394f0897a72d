//! The column of labels in the card's tables.

use matryo_data::Rows;
use serde::{Deserialize, Serialize};

use super::python;

/// Labels of the training data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelCard {
    /// Name of their column.
    pub name: String,
    /// Least, mean and greatest among the first rows.
    pub min_mean_max: [f64; 3],
    /// Those of the first rows.
    pub samples: Vec<f64>,
}

impl LabelCard {
    /// Describes the labels of the first `statistics_rows` rows and shows `samples` of them; `None` if there are none.
    pub(super) fn describe(
        rows: &dyn Rows,
        statistics_rows: usize,
        samples: usize,
    ) -> Option<Self> {
        let name = rows.label_column()?.to_owned();
        // As it was written: the nearest f32 of 0.1 is not the f64 that prints as 0.1.
        let label = |row| {
            rows.label(row).map_or(f64::NAN, |label| {
                label.to_string().parse().unwrap_or(f64::NAN)
            })
        };
        let labels: Vec<f64> = (0..statistics_rows).map(label).collect();
        let least = labels.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = labels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = labels.iter().sum::<f64>() / labels.len().max(1) as f64;
        Some(Self {
            name,
            min_mean_max: [least, mean, greatest],
            samples: labels.into_iter().take(samples).collect(),
        })
    }

    /// As upstream shows the statistics of numbers.
    pub(super) fn html_list(&self) -> String {
        let [min, mean, max] = self.min_mean_max.map(|value| python::rounded(value, 2));
        format!("<ul><li>min: {min}</li><li>mean: {mean}</li><li>max: {max}</li></ul>")
    }

    /// The label of a sample.
    pub(super) fn sample(&self, row: usize) -> String {
        self.samples
            .get(row)
            .map_or_else(String::new, |label| python::shown(*label))
    }
}
