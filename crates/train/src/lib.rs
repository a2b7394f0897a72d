//! Trainer, optimizer, schedules, checkpoints, model card.

pub mod accumulation;
pub mod card;
pub mod config;
mod error;
pub mod events;
mod optimizer;
mod outcome;
pub mod schedule;

pub use config::{KeyInfo, TrainConfig};
pub use error::TrainError;
pub use events::{Event, Observer};
pub use outcome::{BestStep, TrainOutcome};
