//! Trainer, optimizer, schedules, checkpoints, model card.

pub mod card;
pub mod config;
mod error;
pub mod events;
mod outcome;

pub use config::{KeyInfo, TrainConfig};
pub use error::TrainError;
pub use events::{Event, Observer};
pub use outcome::{BestStep, TrainOutcome};
