//! Assertions on numbers that name the worst element.

/// How far a value may lie from the expected one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// This far.
    Absolute(f64),
    /// This far times the largest magnitude among all expected values: the error of a sum scales with its largest terms,
    /// so a small element next to large ones is not held to its own size.
    Relative(f64),
}

/// Panics unless `actual` and `expected` have one length and agree everywhere; NaN agrees with nothing.
/// The message names `what` and the element that is furthest off.
#[track_caller]
pub fn assert_close<A, E>(actual: &[A], expected: &[E], tolerance: Tolerance, what: &str)
where
    A: Copy + Into<f64>,
    E: Copy + Into<f64>,
{
    assert_eq!(actual.len(), expected.len(), "{what}: number of values");
    let allowed = tolerance.allowed(expected);
    let Some((worst, distance)) = worst(actual, expected) else {
        return;
    };
    assert!(
        distance <= allowed,
        "{what}: element {worst} is {:e}, expected {:e}: off by {distance:e}, allowed is {allowed:e}",
        actual[worst].into(),
        expected[worst].into(),
    );
}

/// [`assert_close`] for one number.
#[track_caller]
pub fn assert_value(actual: f64, expected: f64, tolerance: Tolerance, what: &str) {
    assert_close(&[actual], &[expected], tolerance, what);
}

impl Tolerance {
    fn allowed<E: Copy + Into<f64>>(self, expected: &[E]) -> f64 {
        match self {
            Self::Absolute(distance) => distance,
            Self::Relative(share) => {
                share * expected.iter().map(|&e| e.into().abs()).fold(0.0, f64::max)
            }
        }
    }
}

/// The element that is furthest off, and how far; a NaN counts as infinitely far.
fn worst<A: Copy + Into<f64>, E: Copy + Into<f64>>(
    actual: &[A],
    expected: &[E],
) -> Option<(usize, f64)> {
    let distance = |(&a, &e): (&A, &E)| {
        let distance = (a.into() - e.into()).abs();
        if distance.is_nan() {
            f64::INFINITY
        } else {
            distance
        }
    };
    actual
        .iter()
        .zip(expected)
        .map(distance)
        .enumerate()
        .max_by(|x, y| x.1.total_cmp(&y.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_means_relative_to_the_largest() {
        assert_close(
            &[100.0, 0.0009],
            &[100.0, 0.0],
            Tolerance::Relative(1e-5),
            "small beside large",
        );
    }

    #[test]
    #[should_panic(expected = "gradient: element 1 is 2e0, expected 3e0")]
    fn the_worst_element_is_named() {
        assert_close(
            &[1.5, 2.0],
            &[1.0, 3.0],
            Tolerance::Absolute(0.1),
            "gradient",
        );
    }

    #[test]
    #[should_panic(expected = "element 0")]
    fn nan_is_never_close() {
        assert_close(
            &[f32::NAN],
            &[0.0_f32],
            Tolerance::Absolute(f64::MAX),
            "nan",
        );
    }

    #[test]
    #[should_panic(expected = "number of values")]
    fn lengths_must_agree() {
        assert_close(&[1.0], &[1.0, 1.0], Tolerance::Absolute(1.0), "length");
    }
}
