//! Progress of long work, and a flag that ends it early.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A callback that receives how much work is done and how much there is, or none.
///
/// Calls may come from any thread. The units are those of the work, and an unknown total is 0.
#[derive(Clone, Copy, Default)]
pub struct Progress<'a>(Option<&'a (dyn Fn(usize, usize) + Sync)>);

impl<'a> Progress<'a> {
    /// Calls `advance` with the amount done and the total.
    pub fn new(advance: &'a (dyn Fn(usize, usize) + Sync)) -> Self {
        Self(Some(advance))
    }

    /// No callback.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Reports that `done` of `total` is done.
    pub fn advance(self, done: usize, total: usize) {
        if let Some(advance) = self.0 {
            advance(done, total);
        }
    }
}

impl fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.0.is_some() { "new" } else { "none" };
        write!(f, "Progress::{name}")
    }
}

/// A flag that asks long work to end; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag, in every clone and for good.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is set.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn the_callback_receives_every_step() {
        let seen = Mutex::new(Vec::new());
        let note = |done, total| seen.lock().unwrap().push((done, total));
        let progress = Progress::new(&note);
        progress.advance(1, 2);
        progress.advance(2, 2);
        assert_eq!(*seen.lock().unwrap(), [(1, 2), (2, 2)]);
        Progress::default().advance(1, 2);
        Progress::none().advance(1, 2);
    }

    #[test]
    fn clones_share_the_flag() {
        let cancel = Cancel::new();
        let clone = cancel.clone();
        assert!(!clone.is_cancelled());
        std::thread::spawn(move || cancel.cancel()).join().unwrap();
        assert!(clone.is_cancelled());
    }
}
