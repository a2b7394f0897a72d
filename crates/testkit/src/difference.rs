//! Finite differences along a direction: one number checks a whole gradient.

use matryo_base::SplitMix64;

/// The derivative of `f` at `x` along `direction`, by central differences of fourth order with steps of `step` and twice that.
/// A correct gradient `g` gives `g . direction`. With `f` in f32 a step of 1e-2 loses the fewest digits.
pub fn directional_derivative(
    f: impl Fn(&[f32]) -> f64,
    x: &[f32],
    direction: &[f32],
    step: f32,
) -> f64 {
    assert_eq!(
        x.len(),
        direction.len(),
        "the direction has one value a coordinate"
    );
    let at = |t: f32| {
        f(&x.iter()
            .zip(direction)
            .map(|(x, d)| x + t * d)
            .collect::<Vec<_>>())
    };
    let near = at(step) - at(-step);
    let far = at(2.0 * step) - at(-2.0 * step);
    (8.0 * near - far) / (12.0 * f64::from(step))
}

/// `len` numbers in -1..1 that look random and are the same everywhere.
pub fn pseudo_random(len: usize, seed: u64) -> Vec<f32> {
    let mut random = SplitMix64::new(seed);
    (0..len)
        .map(|_| (random.next_u64() >> 40) as f32 / (1 << 23) as f32 - 1.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tolerance, assert_value};

    #[test]
    fn the_derivative_of_a_quartic_is_exact() {
        let f = |x: &[f32]| f64::from(x[0]).powi(4) + 3.0 * f64::from(x[1]);
        let slope = directional_derivative(f, &[1.0, 5.0], &[1.0, 2.0], 0.125);
        assert_value(slope, 10.0, Tolerance::Absolute(1e-9), "4 x^3 + 6");
    }

    #[test]
    fn pseudo_random_numbers_fill_their_range() {
        let values = pseudo_random(1000, 7);
        assert!(values.iter().all(|v| (-1.0..1.0).contains(v)));
        assert!(values.iter().sum::<f32>().abs() < 60.0);
        assert!(values.iter().any(|v| *v > 0.9) && values.iter().any(|v| *v < -0.9));
        assert_eq!(values, pseudo_random(1000, 7));
    }
}
