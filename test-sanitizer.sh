#!/usr/bin/env bash
# The kernel tests under AddressSanitizer: every instruction set this processor has, and AMX executed in software. About two minutes.
#
# Stands where Miri cannot: vector intrinsics, threads and memory that assembly touches. The scalar kernels need neither, they forbid `unsafe`.
# RUSTC_BOOTSTRAP allows the flag, which is not stable yet, on a stable compiler.
set -euo pipefail
cd "$(dirname "$0")"
host=$(rustc -vV | sed -n 's/^host: //p')
# A target of its own: the flag must reach neither build scripts nor what ./test.sh compiled.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR=target/sanitizer \
  cargo test --release --locked -p matryo-kernels --target "$host" --lib --tests
