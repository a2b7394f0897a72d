#!/usr/bin/env bash
# Kernels in Miri, an interpreter that finds undefined behaviour: teams of threads, dropout, words, and row by row the scalar and the portable
# kernels on the smallest shapes. Two minutes. Needs a nightly toolchain: rustup toolchain install nightly --component miri
#
# Matrix products hold inline assembly, which it does not execute; attention and scans take it too long. These, and the intrinsics of other
# instruction sets, are left to ./test-sanitizer.sh. Tree borrows and exposed addresses are what rayon's queues need.
set -euo pipefail
cd "$(dirname "$0")"
export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-tree-borrows -Zmiri-ignore-leaks -Zmiri-permissive-provenance"
CARGO_TARGET_DIR=target/miri cargo +nightly miri test --locked -p matryo-kernels --lib --test elementwise "$@"
