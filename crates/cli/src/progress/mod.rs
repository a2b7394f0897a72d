//! Progress bars on standard error, and numbers for people.

pub mod download;
#[cfg(feature = "collections")]
pub mod lines;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::Console;

/// Redraws a second: enough to look alive, and no measurable cost.
const REFRESH_HZ: u8 = 10;

/// A bar of `total` units, invisible when stderr is no terminal or the user wants quiet.
/// `template` is indicatif's; it panics on one that is malformed.
pub fn bar(console: &Console, total: u64, template: &str) -> ProgressBar {
    let target = if console.shows_bars() {
        ProgressDrawTarget::stderr_with_hz(REFRESH_HZ)
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template(template)
        .expect("a template of our own")
        .progress_chars("█▉▊▋▌▍▎▏ ");
    ProgressBar::with_draw_target(Some(total), target).with_style(style)
}

/// A bar for work in units that mean nothing to anybody: its share is shown.
pub fn share(console: &Console, what: &'static str) -> ProgressBar {
    bar(console, 1, "{msg} {bar:24} {percent} %, {eta} left").with_message(what)
}

/// A whole number with a comma every three digits.
pub fn grouped(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1h 02m`, `3m 05s` or `7s`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m {:02}s", seconds % 60),
        _ => format!("{hours}h {minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        let texts = [0_u64, 999, 1000, 22_713_216].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "22,713,216"]);
    }

    #[test]
    fn durations_name_two_units() {
        let texts = [7, 185, 3720].map(|seconds| duration(Duration::from_secs(seconds)));
        assert_eq!(texts, ["7s", "3m 05s", "1h 02m"]);
    }
}
