//! Progress through documents: a bar on a terminal, lines elsewhere.

use indicatif::ProgressBar;

use crate::{
    console::Console,
    progress::{self, lines::Lines},
};

pub struct Watch {
    bar: ProgressBar,
    lines: Lines,
}

impl Watch {
    /// For `count` documents; `what` is done to them.
    pub fn new(what: &'static str, count: usize, console: Console) -> Self {
        let template = "{msg} {bar:24} {pos}/{len} documents, {per_sec}, {eta} left";
        let bar = progress::bar(&console, count as u64, template).with_message(what);
        Self {
            bar,
            lines: Lines::new(console, count as u64, "documents"),
        }
    }

    /// So many are done.
    pub fn at(&self, done: usize) {
        self.bar.set_position(done as u64);
        self.lines.at(done as u64);
    }

    /// All are.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
