#!/usr/bin/env bash
# Builds what the benchmark needs, then measures. Arguments go to bench.py.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=bench/.cache

cargo build --release --locked -p matryo-cli
[ -f quickstart/base/config.json ] || { echo "error: no base model; run ./quickstart.sh first" >&2; exit 2; }
if [ ! -x "${BENCH_PYTHON:-$cache/venv/bin/python}" ]; then
  python3 -m venv "$cache/venv"
  "$cache/venv/bin/pip" install --quiet -r bench/requirements.txt
fi
python=${BENCH_PYTHON:-$cache/venv/bin/python}
[ -f "$cache/bert-base/model.safetensors" ] || "$python" bench/engines/make_bert_base.py quickstart/base "$cache/bert-base"
exec python3 bench/bench.py --python "$python" --matryo target/release/matryo "$@"
