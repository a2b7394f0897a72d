//! Readers, checks and samplers, against batches that sentence-transformers drew.

mod check;
mod documents;
mod folder;
mod labels;
mod randperm;
mod readers;
mod retrieval;
mod samplers;
mod sentence_pairs;
