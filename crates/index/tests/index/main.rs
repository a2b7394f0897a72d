//! Search in memory, against searches that compare everything.

mod common;
mod flat;
mod funnel;
mod search;
