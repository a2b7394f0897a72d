"""Does training in other precisions end where training in f32 does, within what chance allows? Standard library only.

    python3 bench/interval.py [--model FOLDER] [--precisions bf16 int16] [--record FILE]

Trains the recipe of examples/finance/train.toml in f32 and in each precision, and ranks the passages of examples/finance/eval for its questions with
each model, in f32. The interval is that of the f32 run's mean NDCG@10 over resampled questions (bootstrap, 95 %), at every width.
"""

import argparse
import datetime
import json
import os
import pathlib
import random
import subprocess

import accuracy
import cargo
import machine

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
DATA = ROOT / "examples" / "finance"
CACHE = HERE / ".cache" / "interval"
RESAMPLES = 10_000
SEED = 42


def flags():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matryo", default=cargo.release() / "matryo")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "quickstart" / "base")
    parser.add_argument("--precisions", nargs="+", default=["bf16", "int16"])
    parser.add_argument("--dims", type=int, nargs="+", default=[384, 256, 128, 64])
    parser.add_argument("--record", type=pathlib.Path, help="default: bench/records/interval-<date>.json")
    return parser.parse_args()


def trained(args, precision):
    """The model's folder; trained once."""
    folder = CACHE / precision
    if not (folder / "README.md").exists():
        command = [args.matryo, "train", DATA / "train.toml", "--model", args.model, "--precision", precision, "--output_dir", folder, "--quiet"]
        subprocess.run(command, check=True)
    return folder


def embedded(args, model, name):
    """Rows by identifier."""
    lines = [json.loads(line) for line in (DATA / "eval" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    command = [args.matryo, "encode", model, "--input", DATA / "eval" / f"{name}.jsonl", "--column", "text", "--precision", "f32", "--quiet"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {line["_id"]: json.loads(row) for line, row in zip(lines, output.splitlines(), strict=True)}


def relevant():
    found = {}
    for line in (DATA / "eval" / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, score = line.split("\t")
        if int(score) > 0:
            found.setdefault(query, set()).add(document)
    return found


def gains(args, model, judged):
    """NDCG@10 of each question, by width."""
    documents, queries = embedded(args, model, "corpus"), embedded(args, model, "queries")
    found = {}
    for dim in args.dims:
        rows = {name: accuracy.unit(row[:dim]) for name, row in documents.items()}
        found[dim] = [accuracy.gain(accuracy.nearest(accuracy.unit(queries[name][:dim]), rows), judged[name]) for name in sorted(judged)]
    return found


def mean(values):
    return sum(values) / len(values)


def interval(values):
    """The middle 95 % of the means of resampled values."""
    chance = random.Random(SEED)
    means = sorted(mean(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return [means[int(RESAMPLES * share)] for share in (0.025, 0.975)]


def main():
    args = flags()
    os.chdir(ROOT)
    judged = relevant()
    by_precision = {precision: gains(args, trained(args, precision), judged) for precision in ["f32", *args.precisions]}
    record = {"date": datetime.date.today().isoformat(), "commit": machine.commit(), "machine": machine.machine(), "questions": len(judged),
              "resamples": RESAMPLES, "dims": {}}
    for dim in args.dims:
        low, high = interval(by_precision["f32"][dim])
        row = {"interval": [round(low, 4), round(high, 4)]} | {name: round(mean(found[dim]), 4) for name, found in by_precision.items()}
        record["dims"][dim] = row
        inside = {name: low <= mean(by_precision[name][dim]) <= high for name in args.precisions}
        print(f"{dim}: {row}; within: {inside}", flush=True)
    target = args.record or HERE / "records" / f"interval-{record['date']}.json"
    target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
