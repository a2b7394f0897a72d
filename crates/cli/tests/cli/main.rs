//! The built command on a tiny model: results, messages, exit codes.

mod classify;
mod common;
mod convert;
mod distill;
mod encode;
mod errors;
mod eval;
mod files;
mod front;
#[cfg(feature = "collections")]
mod index;
#[cfg(feature = "collections")]
mod kills;
mod mining;
mod prompts;
mod resume;
mod similarity;
mod train;
