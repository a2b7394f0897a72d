//! The known name that a misspelt one most likely means.

/// Jaro-Winkler similarity from which a name is worth a hint.
///
/// A slip of the keyboard (`sede`, `lable`, `learning_rat`) scores above 0.9, a name cut short (`batch` for
/// `batch_sampler`) above 0.85. Keys that merely begin alike (`max_steps`, `max_grad_norm`) score below 0.7, and a wrong
/// hint costs more than none.
const SIMILAR_FROM: f64 = 0.8;

/// The candidate most similar to `name`, if any is similar enough for "did you mean". Case does not count.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    candidates
        .map(|candidate| {
            let similarity = strsim::jaro_winkler(&name, &candidate.to_lowercase());
            (similarity, candidate)
        })
        .filter(|(similarity, _)| *similarity >= SIMILAR_FROM)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 4] = ["learning_rate", "warmup_ratio", "seed", "scale"];

    #[test]
    fn a_misspelt_name_finds_its_own() {
        let nearest = |name| nearest(name, KEYS.into_iter());
        assert_eq!(nearest("learning_rat"), Some("learning_rate"));
        assert_eq!(nearest("Learing_Rate"), Some("learning_rate"));
        assert_eq!(nearest("sede"), Some("seed"));
    }

    #[test]
    fn a_name_like_none_gets_no_hint() {
        assert_eq!(nearest("batch_size", KEYS.into_iter()), None);
        assert_eq!(nearest("seed", std::iter::empty()), None);
    }
}
