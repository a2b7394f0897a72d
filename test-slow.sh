#!/usr/bin/env bash
# The comparison with recorded runs of the Python library on the real all-MiniLM-L6-v2: token ids, vectors, retrieval, whole trainings.
# About an hour on two cores. The recordings are too large for the repository; the three folders are named by
#   MATRYO_MINILM   all-MiniLM-L6-v2 with both dropout rates in config.json set to 0
#   MATRYO_GOLDEN   holds encode/, eval/ and train/<run>/trace.json
#   MATRYO_DATA     holds tatqa/, tatqa_unique/ and scifact_small/
set -euo pipefail
cd "$(dirname "$0")"
: "${MATRYO_MINILM:?}" "${MATRYO_GOLDEN:?}" "${MATRYO_DATA:?}"
cargo test --release --locked -p matryo-model --test minilm --test tokenizer -- --ignored
cargo test --release --locked -p matryo-eval --test minilm -- --ignored
cargo test --release --locked -p matryo-train --test minilm_traces -- --ignored --test-threads 1
