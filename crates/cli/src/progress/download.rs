//! A bar for each file that comes from the hub.

use std::cell::RefCell;

use indicatif::ProgressBar;
use matryo_model::HubProgress;

use super::bar;
use crate::console::Console;

const TEMPLATE: &str = "{msg:32} {bar:24} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";

/// Shows downloads: a bar on a terminal, elsewhere a line a file.
pub struct DownloadBar {
    console: Console,
    bar: RefCell<ProgressBar>,
}

impl DownloadBar {
    /// Nothing is shown before the first file.
    pub fn new(console: Console) -> Self {
        Self {
            console,
            bar: RefCell::new(ProgressBar::hidden()),
        }
    }
}

impl HubProgress for DownloadBar {
    fn begin(&self, file: &str, size: Option<u64>, done: u64) {
        if !self.console.shows_bars() {
            self.console.say(&format!("downloading {file}"));
        }
        let bar = bar(&self.console, size.unwrap_or(0), TEMPLATE);
        bar.set_position(done);
        bar.reset_eta();
        self.bar.replace(bar.with_message(file.to_owned()));
    }

    fn advance(&self, bytes: u64) {
        self.bar.borrow().inc(bytes);
    }

    fn end(&self, _: &str) {
        self.bar.borrow().finish();
    }

    fn note(&self, text: &str) {
        self.bar.borrow().suspend(|| self.console.note(text));
    }
}
