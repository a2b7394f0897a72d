//! Small things that every crate of the workspace may use, each written once.
//!
//! - [`files`]: files and folders that appear whole or not at all, and the error of the file system.
//! - [`digest`]: SHA-256 and hexadecimal.
//! - [`random`]: SplitMix64, as a function and as a generator.
//! - [`similar`]: the known name that a misspelt one most likely means.
//! - [`stand_in`]: files that stand for others, where a download went wrong.
//! - [`progress`]: callbacks of long work, and a flag that ends it.
//!
//! Nothing here knows of models, texts or vectors.

pub mod digest;
pub mod files;
pub mod progress;
pub mod random;
pub mod similar;
pub mod stand_in;

pub use digest::{Digest, hex};
pub use files::{FileError, write_atomic, write_file, write_folder};
pub use progress::{Cancel, Progress};
pub use random::{SplitMix64, mix};
pub use similar::nearest;
pub use stand_in::StandIn;
