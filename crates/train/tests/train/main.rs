//! Whole trainings on a tiny model, against recorded runs of the Python trainer.

mod card;
mod family_traces;
mod golden_traces;
mod invariance;
mod labels;
mod minilm_traces;
mod precisions;
mod refusals;
mod resume;
mod support;
