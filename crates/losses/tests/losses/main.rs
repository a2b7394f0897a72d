//! Losses and their gradients against those of sentence-transformers.

mod golden;
mod parameters;
