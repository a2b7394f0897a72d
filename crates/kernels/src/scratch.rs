//! Buffers that are used again instead of being allocated at every call.
//!
//! A buffer is taken out of its store while it is used, so a task that steals another task halfway finds the next one.

use std::{cell::RefCell, sync::Mutex};

use crate::AlignedVec;

static SHARED: Mutex<Vec<AlignedVec>> = Mutex::new(Vec::new());

thread_local! {
    static LOCAL: RefCell<Vec<AlignedVec>> = const { RefCell::new(Vec::new()) };
}

/// `f` with a buffer of `len` floats of unspecified values, from any thread.
pub(crate) fn shared<T>(len: usize, f: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut buffer = SHARED
        .lock()
        .expect("no panic while held")
        .pop()
        .unwrap_or_default();
    let result = f(buffer.first_mut(len));
    SHARED.lock().expect("no panic while held").push(buffer);
    result
}

/// `f` with a buffer of `len` floats of unspecified values that this thread keeps.
pub(crate) fn local<T>(len: usize, f: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut buffer = LOCAL.with_borrow_mut(Vec::pop).unwrap_or_default();
    let result = f(buffer.first_mut(len));
    LOCAL.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}
