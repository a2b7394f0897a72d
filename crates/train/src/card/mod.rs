//! The model card of a training run, written from what really happened.
//!
//! [`CardData`] is the record of the run, [`render`] turns it into `README.md`. The record is saved beside the card, so
//! that the card can be made again; a folder without one gets what the folder itself tells.
//! Sections, keys and number formats are those of the cards that sentence-transformers writes; the sentences are ours.

mod architecture;
mod caveats;
mod citations;
mod datasets;
mod environment;
mod error;
mod evaluation;
mod front_matter;
mod hardware;
mod hyperparameters;
mod label;
mod logs;
mod markdown;
mod model_details;
mod python;
mod record;
mod render;
mod store;
mod training_details;
mod usage;
mod widget;
mod yaml;

use crate::config::Compat;

pub use architecture::{Architecture, ModuleCard};
pub use datasets::{ColumnCard, DatasetCard, EvalDatasetCard, TokenStatistics, TruncatedShare};
pub use error::CardError;
pub use hardware::Hardware;
pub use label::LabelCard;
pub use record::{
    BaseModel, BestCheckpoint, CardData, Evaluation, Hyperparameter, LossCard, LossRow, ReportCard,
    Times, Training,
};
pub use render::render;
pub use store::{RECORD_FILE, load_record, save_record};
pub use widget::{WidgetExample, widget_examples};
