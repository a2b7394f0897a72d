//! Standard error: notes, warnings, errors, and whether it is a terminal that shows colours and bars.

use std::{
    error::Error,
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use clap::ValueEnum;

/// When to colour messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// How to talk to the user.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    quiet: bool,
    color: bool,
    terminal: bool,
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const CYAN: &str = "\x1b[1;36m";
const PLAIN: &str = "\x1b[0m";

impl Console {
    /// Looks at stderr and at `NO_COLOR` (<https://no-color.org>: set and not empty).
    pub fn new(quiet: bool, color: Color) -> Self {
        let terminal = io::stderr().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = match color {
            Color::Auto => terminal && !no_color,
            Color::Always => true,
            Color::Never => false,
        };
        Self {
            quiet,
            color,
            terminal,
        }
    }

    /// Whether only errors are shown.
    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// Whether bars can be drawn: stderr is a terminal and not silenced.
    pub fn shows_bars(&self) -> bool {
        self.terminal && !self.quiet
    }

    /// A line of progress or of a report.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            line(text);
        }
    }

    /// Something the user should know.
    pub fn note(&self, text: &str) {
        self.labelled("note", CYAN, text);
    }

    /// Something the user should look at.
    pub fn warn(&self, text: &str) {
        self.labelled("warning", YELLOW, text);
    }

    /// An error with its causes and what to try; shown even when quiet.
    pub fn error(&self, error: &dyn Error, hint: Option<&str>) {
        line(&format!("{} {}", self.paint("error:", RED), chain(error)));
        if let Some(hint) = hint {
            line(&format!("{} {hint}", self.paint("hint:", CYAN)));
        }
    }

    fn labelled(&self, label: &str, color: &str, text: &str) {
        self.say(&format!(
            "{} {text}",
            self.paint(&format!("{label}:"), color)
        ));
    }

    fn paint(&self, text: &str, color: &str) -> String {
        if self.color {
            format!("{color}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    }
}

/// A message and the causes below it that it does not already tell.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let message = source.to_string();
        if !text.contains(&message) {
            text.push_str(&format!("\n  caused by: {message}"));
        }
        cause = source.source();
    }
    text
}

/// One write a line, so that lines of several threads do not mix. Nothing can be done when stderr is gone.
fn line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Makes a panic say that it is a bug, instead of looking like a message to the user.
pub fn install_panic_hook() {
    static SHOWN: AtomicBool = AtomicBool::new(false);
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        #[cfg(feature = "collections")]
        if matryo_collection::is_reported(info) {
            return;
        }
        default(info);
        if !SHOWN.swap(true, Ordering::Relaxed) {
            line(
                "error: this is a bug in matryo; please report it with the lines above and the command you ran",
            );
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read a.txt: {source}")]
    struct Told {
        source: io::Error,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot train")]
    struct Untold {
        source: Told,
    }

    #[test]
    fn a_cause_is_told_once() {
        let told = Told {
            source: io::Error::other("the disk is gone"),
        };
        let text = "cannot train\n  caused by: cannot read a.txt: the disk is gone";
        assert_eq!(chain(&Untold { source: told }), text);
    }
}
