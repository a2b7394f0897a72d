#!/usr/bin/env bash
# Every test. Needs a Rust toolchain and a C compiler; no GPU, no model, no network beyond the crate registry.
set -euo pipefail
cd "$(dirname "$0")"
cargo test --release --workspace --features matryo-cli/collections,matryo/collections --locked "$@"
