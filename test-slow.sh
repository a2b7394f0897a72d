#!/usr/bin/env bash
# The comparison with recorded runs of the Python library on the real all-MiniLM-L6-v2: token ids, vectors, retrieval, whole trainings;
# and the batch invariance of 500 texts. An hour and a quarter on two cores of a Zen 4, an hour of it the invariance. The recordings are
# too large for the repository; the three folders are named by
#   MATRYO_MINILM   all-MiniLM-L6-v2 with both dropout rates in config.json set to 0
#   MATRYO_GOLDEN   holds encode/, eval/ and train/<run>/trace.json
#   MATRYO_DATA     holds tatqa/, tatqa_unique/ and scifact_small/
set -euo pipefail
cd "$(dirname "$0")"
: "${MATRYO_MINILM:?}" "${MATRYO_GOLDEN:?}" "${MATRYO_DATA:?}"
# --workspace, so that what ./test.sh compiled is used again.
cargo test --release --locked --workspace --test nn --test model --test eval --test mining --test train -- --ignored --test-threads 1
