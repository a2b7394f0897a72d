//! Buffers that are used again instead of being allocated at every call.

use std::{cell::RefCell, sync::Mutex};

static SHARED: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

thread_local! {
    static LOCAL: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// `f` with a buffer of `len` floats of unspecified values, from any thread.
pub(crate) fn shared<T>(len: usize, f: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut buffer = SHARED.lock().expect("no panic while held").pop().unwrap_or_default();
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    let result = f(&mut buffer[..len]);
    SHARED.lock().expect("no panic while held").push(buffer);
    result
}

/// `f` with a buffer of `len` floats of unspecified values that this thread keeps.
pub(crate) fn local<T>(len: usize, f: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut buffer = LOCAL.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    let result = f(&mut buffer[..len]);
    LOCAL.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}
