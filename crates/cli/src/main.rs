//! The `matryo` command.

fn main() {}
