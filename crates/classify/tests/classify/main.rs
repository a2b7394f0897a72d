//! Classifiers: their folder, and their arithmetic against scikit-learn's and setfit's.

mod folder;
mod golden;
