//! Exact nearest-neighbour search in memory.
