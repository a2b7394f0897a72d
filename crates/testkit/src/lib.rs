//! Test helpers: golden files, tolerances.
