//! Floating-point numbers as Python prints them.

/// `repr(value)` of Python: the shortest digits that read back as the same number, with an exponent below 1e-4 and from
/// 1e16 on (float_repr_style of CPython), and `.0` on whole numbers.
pub fn python_float(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string().to_lowercase();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific
        .split_once('e')
        .expect("`e` stands in the format");
    let exponent: i32 = exponent.parse().expect("a whole number follows `e`");
    match exponent {
        -4..16 if value.fract() == 0.0 => format!("{value}.0"),
        -4..16 => value.to_string(),
        _ => format!(
            "{digits}e{}{:02}",
            if exponent < 0 { '-' } else { '+' },
            exponent.abs()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_python() {
        // Each line is what CPython 3.12 prints for the number.
        let printed = [
            "0.0",
            "-0.0",
            "1.0",
            "-3.0",
            "0.1",
            "0.30000000000000004",
            "0.22866666666666663",
            "100.0",
            "0.0001",
            "1e-05",
            "1.5e-07",
            "123456789.125",
            "1234567890123456.0",
            "1e+16",
            "1.2345e+16",
            "5e-324",
            "1.7976931348623157e+308",
            "inf",
            "-inf",
            "nan",
        ];
        for expected in printed {
            assert_eq!(python_float(expected.parse().unwrap()), expected);
        }
    }
}
