//! Trainer, optimizer, schedules, checkpoints, model card.

pub mod accumulation;
mod by_column;
pub mod card;
mod checkpoint;
pub mod config;
mod csv_rows;
mod error;
pub mod events;
mod finish;
mod gradient;
mod identity;
mod intervals;
mod measure;
mod memory;
mod moments;
mod numbers;
mod objective;
mod optimizer;
mod outcome;
mod progress;
mod rates;
mod record;
mod run;
pub mod schedule;
mod seeds;
mod texts;
mod trainer;
mod trainer_state;
mod warnings;
mod weights;

pub use config::{KeyInfo, TrainConfig};
pub use error::TrainError;
pub use events::{Event, Observer};
pub use outcome::{BestStep, TrainOutcome};
pub use trainer::Trainer;
