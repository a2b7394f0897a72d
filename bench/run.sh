#!/usr/bin/env bash
# Builds what the benchmark needs, then measures. Arguments go to bench.py.
#
# What a rival needs may fail to build or to install: that is told here, and its runs are noted as failed in the record.
# BENCH_PYTHON names an interpreter that has requirements.txt; without it one is made.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=bench/.cache
python=${BENCH_PYTHON:-$cache/venv/bin/python}
optional() { "$@" || echo "warning: failed: $*" >&2; }

[ -f quickstart/base/config.json ] || { echo "error: no base model; run ./quickstart.sh first" >&2; exit 2; }
cargo build --release --locked -p matryo-cli
cargo build --release --locked -p matryo -p matryo-kernels --example bench_encode --example roofline
# In its folder, where cargo finds its configuration.
(cd bench/engines/candle && optional cargo build --release --locked)

if [ -z "${BENCH_PYTHON:-}" ] && ! cmp -s bench/requirements.txt "$cache/venv/installed.txt"; then
  [ -x "$python" ] || python3 -m venv "$cache/venv"
  # One by one: a package that does not install takes no other rival with it.
  while read -r package; do optional "$python" -m pip install --quiet "$package"; done <bench/requirements.txt
  cp bench/requirements.txt "$cache/venv/installed.txt"
fi
for layers in 12 6 2; do
  folder=$cache/bert-base$([ "$layers" = 12 ] || echo "-$layers")
  [ -f "$folder/model.safetensors" ] || optional "$python" bench/engines/make_model.py quickstart/base "$folder" bert "$layers"
done
for family in modernbert xlm-roberta roberta mpnet distilbert electra albert ernie t5 deberta-v2; do
  folder=$cache/$family-base
  [ -f "$folder/model.safetensors" ] || optional "$python" bench/engines/make_model.py quickstart/base "$folder" "$family"
done
for folder in quickstart/base "$cache/bert-base"; do
  target=$cache/onnx/$(basename "$folder")
  [ -f "$target/int8.onnx" ] || optional "$python" bench/engines/onnx_export.py "$folder" "$target"
done
for folder in quickstart/base "$cache"/*-base; do
  target=$cache/openvino/$(basename "$folder")
  [ -f "$target/int8.xml" ] || optional "$python" bench/engines/ov_export.py "$folder" "$target"
done
python3 bench/bench.py --python "$python" "$@"
# With arguments a part was asked for, of which static models are none.
[ $# -gt 0 ] && exit
static=$cache/static
binary=$(python3 -c 'import sys; sys.path.insert(0, "bench"); import cargo; print(cargo.release() / "matryo")')
[ -d "$static" ] || optional "$binary" distill quickstart/base --output "$static"
optional "$python" bench/static.py "$binary" "$static"
