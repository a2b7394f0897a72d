//! The heap of the C library, asked to be small.

/// Gives whole pages of freed blocks back to the system. glibc keeps those below its largest block in use for later requests; after
/// something that takes many small blocks for a short time, such as reading a vocabulary, they are not asked for again. A pass over the
/// heap, a fraction of a millisecond for a few MiB; other C libraries have no such call, and nothing happens there.
pub fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes locks of its own and may be called at any time from any thread; no block in use moves.
    unsafe {
        libc::malloc_trim(0);
    }
}
