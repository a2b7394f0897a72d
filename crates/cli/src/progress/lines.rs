//! Lines of progress where no bar can be drawn.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{duration, grouped};
use crate::console::Console;

/// Often enough to see that something happens, seldom enough for a log.
const BETWEEN: Duration = Duration::from_secs(10);

/// Says every few seconds how far long work is.
pub struct Lines {
    console: Console,
    total: u64,
    unit: &'static str,
    started: Instant,
    last: Mutex<Instant>,
}

impl Lines {
    /// For `total` pieces of work called `unit`; says nothing where a bar is drawn.
    pub fn new(console: Console, total: u64, unit: &'static str) -> Self {
        let now = Instant::now();
        Self {
            console,
            total,
            unit,
            started: now,
            last: Mutex::new(now),
        }
    }

    /// Tells that `done` pieces are done, if it is time to.
    pub fn at(&self, done: u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if self.console.shows_bars() || done == 0 || last.elapsed() < BETWEEN {
            return;
        }
        *last = Instant::now();
        let rate = done as f64 / self.started.elapsed().as_secs_f64();
        let left = Duration::from_secs_f64(self.total.saturating_sub(done) as f64 / rate);
        let (done, total) = (grouped(done), grouped(self.total));
        self.console.say(&format!(
            "{done} of {total} {}, {rate:.0} a second, {} left",
            self.unit,
            duration(left)
        ));
    }
}
