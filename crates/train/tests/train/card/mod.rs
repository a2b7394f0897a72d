//! The model card: its numbers against cards that sentence-transformers wrote of the same runs, and its
//! resistance to texts of any kind.

mod document;
mod fixture;
mod golden;
mod nasty;
mod record;
mod usage;
