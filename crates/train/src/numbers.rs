//! Numbers as logs show them.

/// Rounded to so many decimals.
pub(crate) fn round(value: f64, decimals: i32) -> f64 {
    let factor = 10_f64.powi(decimals);
    let rounded = (value * factor).round() / factor;
    // Beyond the range of the factor there is nothing to round.
    if rounded.is_finite() { rounded } else { value }
}
