#!/usr/bin/env bash
# The kernel tests in Miri, an interpreter that finds undefined behaviour: the scalar kernels and the portable ones, threads and teams, on the
# smallest shapes. Some minutes. Needs a nightly toolchain: rustup toolchain install nightly --component miri
#
# Intrinsics of other instruction sets are left to ./test-sanitizer.sh. Tree borrows and exposed addresses are what rayon's queues need.
set -euo pipefail
cd "$(dirname "$0")"
export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-tree-borrows -Zmiri-ignore-leaks -Zmiri-permissive-provenance"
CARGO_TARGET_DIR=target/miri cargo +nightly miri test --locked -p matryo-kernels --lib --tests "$@"
