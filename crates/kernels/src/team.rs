//! How the tasks of a kernel find threads: rayon's, none but the caller's, or a team that waits awake.
//!
//! Rayon wakes sleeping workers at every kernel, which costs tens of microseconds each; a short text's kernels last about as long. A team is
//! some of rayon's workers that look for tasks of one caller until it is done: no wake-up, no lock.
//!
//! ```text
//! caller:  work := f;  region := (epoch + 1, tasks, 0)          worker:  (epoch, tasks, next) := region
//!          claim and run until none is left                              w := work
//!          wait until all are done                                       if next < tasks and region is still the same: next + 1
//!                                                                            w(next); done + 1
//! ```
//! A claim succeeds only while the region is the one that was read, and the caller opens the next region only when every task of this one
//! is done. So between the reading and the claim neither `work` nor what it borrows can have gone.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering},
};

use rayon::prelude::*;

/// A kernel's task, by its number.
type Work<'a> = dyn Fn(usize) + Sync + 'a;

#[derive(Clone, Copy)]
enum Mode {
    Rayon,
    Alone,
    Team(*const Team),
}

thread_local! {
    static MODE: Cell<Mode> = const { Cell::new(Mode::Rayon) };
}

/// Bits of a region's number of tasks, and of the next one; the epoch has the other 32.
const COUNT: u32 = 16;

struct Team {
    threads: usize,
    /// Epoch, number of tasks, next task; see [`Region`].
    region: AtomicU64,
    work: AtomicPtr<()>,
    done: AtomicUsize,
    panicked: AtomicBool,
    over: AtomicBool,
}

/// What [`Team::region`] holds.
#[derive(Clone, Copy)]
struct Region {
    epoch: u64,
    tasks: u64,
    next: u64,
}

impl Region {
    fn of(bits: u64) -> Self {
        let mask = (1 << COUNT) - 1;
        Self {
            epoch: bits >> (2 * COUNT),
            tasks: bits >> COUNT & mask,
            next: bits & mask,
        }
    }

    fn bits(self) -> u64 {
        self.epoch << (2 * COUNT) | self.tasks << COUNT | self.next
    }
}

/// `f`, whose kernels run on this thread alone: for callers that keep the other threads busy themselves.
pub fn alone<T>(f: impl FnOnce() -> T) -> T {
    within(Mode::Alone, f)
}

/// `f`, whose kernels are shared with all of rayon's workers that are free, which wait awake for them meanwhile: for short work.
pub fn together<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    let threads = rayon::current_num_threads();
    if threads == 1 {
        return alone(f);
    }
    let team = Team {
        threads,
        region: AtomicU64::new(0),
        work: AtomicPtr::new(std::ptr::null_mut()),
        done: AtomicUsize::new(0),
        panicked: AtomicBool::new(false),
        over: AtomicBool::new(false),
    };
    let team = &team;
    rayon::scope(|scope| {
        (1..threads).for_each(|_| scope.spawn(|_| team.help()));
        // Also when `f` panics, or the scope would wait for ever.
        let _end = End(team);
        within(Mode::Team(team), f)
    })
}

/// Ends a team's waiting when it is dropped.
struct End<'a>(&'a Team);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
    }
}

fn within<T>(mode: Mode, f: impl FnOnce() -> T) -> T {
    struct Back(Mode);
    impl Drop for Back {
        fn drop(&mut self) {
            MODE.set(self.0);
        }
    }
    let _back = Back(MODE.replace(mode));
    f()
}

/// Into how many tasks a kernel should be cut at least: one a thread; several where a thread may be busy elsewhere.
pub(crate) fn tasks() -> usize {
    match MODE.get() {
        Mode::Rayon => 4 * rayon::current_num_threads(),
        Mode::Alone => 1,
        // SAFETY: the team outlives the mode; see `together`.
        Mode::Team(team) => unsafe { (*team).threads },
    }
}

/// Runs `work` with every number below `tasks`, in any order.
pub(crate) fn for_each(tasks: usize, work: &Work<'_>) {
    match MODE.get() {
        _ if tasks < 2 => (0..tasks).for_each(work),
        Mode::Alone => (0..tasks).for_each(work),
        // SAFETY: the team outlives the mode; see `together`.
        Mode::Team(team) if tasks < 1 << COUNT => unsafe { &*team }.lead(tasks, work),
        Mode::Rayon | Mode::Team(_) => (0..tasks).into_par_iter().for_each(work),
    }
}

impl Team {
    /// Opens a region, works in it, and waits for its end.
    fn lead(&self, tasks: usize, work: &Work<'_>) {
        let last = Region::of(self.region.load(Ordering::Relaxed));
        self.done.store(0, Ordering::Relaxed);
        self.work
            .store((&raw const work).cast_mut().cast(), Ordering::Relaxed);
        let region = Region {
            epoch: (last.epoch + 1) & 0xffff_ffff,
            tasks: tasks as u64,
            next: 0,
        };
        self.region.store(region.bits(), Ordering::Release);
        while self.run_one() {}
        while self.done.load(Ordering::Acquire) < tasks {
            std::hint::spin_loop();
        }
        assert!(
            !self.panicked.load(Ordering::Relaxed),
            "a task of a kernel panicked"
        );
    }

    /// Runs tasks until the team is over.
    fn help(&self) {
        while !self.over.load(Ordering::Acquire) {
            if !self.run_one() {
                std::hint::spin_loop();
            }
        }
    }

    /// Claims and runs a task; `false` if there is none.
    fn run_one(&self) -> bool {
        let bits = self.region.load(Ordering::Acquire);
        let region = Region::of(bits);
        let work = self
            .work
            .load(Ordering::Relaxed)
            .cast_const()
            .cast::<&Work<'_>>();
        if region.next >= region.tasks {
            return false;
        }
        let claimed = Region {
            next: region.next + 1,
            ..region
        }
        .bits();
        if self
            .region
            .compare_exchange(bits, claimed, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            return true;
        }
        // SAFETY: the claim succeeded, so the region is open until this task is done, and `work` is its; see the head of this file.
        // An epoch comes again after 2^32 regions, hours later, longer than a thread is held up between two instructions.
        let run = || unsafe { (*work)(region.next as usize) };
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            self.panicked.store(true, Ordering::Relaxed);
        }
        self.done.fetch_add(1, Ordering::AcqRel);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(tasks: usize) -> Vec<usize> {
        let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
        for_each(tasks, &|i| {
            counts[i].fetch_add(1, Ordering::Relaxed);
        });
        counts.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn every_task_runs_once_in_every_mode() {
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                for tasks in [0, 1, 2, 7, 100] {
                    assert_eq!(count(tasks), vec![1; tasks]);
                    assert_eq!(alone(|| count(tasks)), vec![1; tasks]);
                }
                together(|| {
                    for round in 0..if cfg!(miri) { 5 } else { 2000 } {
                        assert_eq!(count(round % 9), vec![1; round % 9]);
                    }
                });
            });
        }
    }

    #[test]
    fn a_panic_is_handed_on_and_ends_the_team() {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(2)
            .build()
            .unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            pool.install(|| together(|| for_each(10, &|i| assert!(i != 7, "task 7"))));
        }));
        assert!(outcome.is_err());
        assert_eq!(pool.install(|| together(|| count(5))), [1; 5]);
    }

    #[test]
    fn modes_end_with_their_call() {
        let before = tasks();
        assert_eq!(alone(tasks), 1);
        assert_eq!(tasks(), before);
    }
}
