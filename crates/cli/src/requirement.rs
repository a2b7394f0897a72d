//! A metric and the least value it must have, or the greatest it may have.

use std::str::FromStr;

use matryo_base::nearest;

use crate::error::CliError;

/// `dim_128_cosine_ndcg@10=0.7`.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    key: String,
    bound: f64,
}

/// Not of the form `METRIC=VALUE`.
#[derive(Debug, thiserror::Error)]
#[error("expected METRIC=VALUE, as dim_128_cosine_ndcg@10=0.7")]
pub struct NotARequirement;

impl FromStr for Requirement {
    type Err = NotARequirement;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, bound) = text.split_once('=').ok_or(NotARequirement)?;
        let bound = bound.parse().map_err(|_| NotARequirement)?;
        Ok(Self {
            key: key.to_owned(),
            bound,
        })
    }
}

impl Requirement {
    /// Fails with [`CliError::UnknownMetric`] if the metric is not among those that will be measured.
    pub fn check(&self, keys: &[String]) -> Result<(), CliError> {
        if keys.contains(&self.key) {
            return Ok(());
        }
        let similar = nearest(&self.key, keys.iter().map(String::as_str));
        Err(CliError::UnknownMetric {
            key: self.key.clone(),
            similar: similar.map(str::to_owned),
        })
    }

    /// The metric.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How it was missed, as a least value; `None` if it was met.
    pub fn missed(&self, metrics: &[(String, f64)]) -> Option<String> {
        let value = self.value(metrics)?;
        (value < self.bound)
            .then(|| format!("{} is {value:.4}, required is {}", self.key, self.bound))
    }

    /// How it was missed, as a greatest value; `None` if it was met.
    pub fn exceeded(&self, metrics: &[(String, f64)]) -> Option<String> {
        let value = self.value(metrics)?;
        (value > self.bound).then(|| {
            format!(
                "{} is {value:.4}, required is at most {}",
                self.key, self.bound
            )
        })
    }

    fn value(&self, metrics: &[(String, f64)]) -> Option<f64> {
        metrics
            .iter()
            .find(|(key, _)| *key == self.key)
            .map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_is_met_from_its_value_on() {
        let requirement: Requirement = "dim_8_cosine_ndcg@10=0.5".parse().unwrap();
        let measured = |value| vec![("dim_8_cosine_ndcg@10".to_owned(), value)];
        assert_eq!(requirement.missed(&measured(0.5)), None);
        let missed = requirement.missed(&measured(0.25)).unwrap();
        assert_eq!(missed, "dim_8_cosine_ndcg@10 is 0.2500, required is 0.5");
        assert_eq!(requirement.exceeded(&measured(0.5)), None);
        assert_eq!(
            requirement.exceeded(&measured(0.75)).unwrap(),
            "dim_8_cosine_ndcg@10 is 0.7500, required is at most 0.5"
        );
        assert!("dim_8".parse::<Requirement>().is_err() && "a=b".parse::<Requirement>().is_err());
    }
}
