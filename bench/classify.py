"""Few-shot classification and a linear probe: matryo beside setfit and scikit-learn, same model, same examples, same settings.

usage: classify.py --matryo BINARY --python PYTHON --model FOLDER --train TRAIN.jsonl --test TEST.jsonl
                   [--num_iterations 20] [--runs 3] [--threads 2] [--record FILE]

PYTHON is an interpreter with setfit (see python/setfit_banking77.py). Engines alternate. Seconds are those of training
(tuning, encoding the examples, fitting the head); `wall` is the whole process with imports, loading, and the predictions of TEST.
Runs during which other programs took more than 5 % of the processor are listed under `loaded`.
Standard library only.
"""

import argparse
import datetime
import json
import pathlib
import statistics
import tempfile

from machine import commit, machine, said
from process import last_line, measured

HERE = pathlib.Path(__file__).parent
# The share of others from which a run is named as loaded.
LOADED = 0.05


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("matryo", "python", "model", "train", "test"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--num_iterations", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--record")
    return parser.parse_args()


def matryo(args, task):
    with tempfile.TemporaryDirectory() as scratch:
        command = [args.matryo, "classify", "train", args.model, "--data", args.train, "--eval", args.test, "--output_dir", f"{scratch}/out",
                   "--threads", args.threads, "--json", "--quiet", *flags(args, task)]
        output, cost = measured(command, args.threads)
    result = last_line(output)
    report = result["eval"]
    return {
        "steps": result["steps"], "iterations": result["iterations"],
        "seconds": round(sum(result[f"{part}_seconds"] for part in ("tuning", "encoding", "fitting")), 3),
        "accuracy": report["accuracy"], "f1_macro": report["f1_macro"], "log_loss": report["log_loss"],
        "expected_calibration_error": report["expected_calibration_error"], **cost,
    }


def python(args, task):
    command = [args.python, HERE.parent / "python" / "setfit_banking77.py", args.model, args.train, args.test, *flags(args, task)]
    output, cost = measured(command, args.threads)
    result = last_line(output)
    seconds = result["seconds"]
    row = {"steps": result["steps"], "iterations": result["iterations"], "seconds": round(seconds.get("tune", 0.0) + seconds["head"], 3)}
    return {**row, **{key: result[key] for key in ("accuracy", "f1_macro", "log_loss", "versions")}, **cost}


def flags(args, task):
    return ["--probe"] if task == "probe" else ["--num_iterations", args.num_iterations]


def main():
    args = arguments()
    runs = []
    for run in range(args.runs):
        for task in ("few-shot", "probe"):
            for engine in (matryo, python):
                row = {"task": task, "engine": engine.__name__, "run": run, **engine(args, task)}
                print(json.dumps(row), flush=True)
                runs.append(row)
    record = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "commit": commit(), "machine": machine(),
        "versions": {"matryo": said(args.matryo, "--version"), "rustc": said("rustc", "--version"), **runs[1].pop("versions")},
        "settings": {"model": pathlib.Path(args.model).name, "train": described(args.train), "test": described(args.test), "threads": args.threads,
                     "num_iterations": args.num_iterations, "others": "defaults of setfit and scikit-learn"},
        "command": "python3 bench/classify.py --matryo MATRYO --python PYTHON --model MODEL --train TRAIN --test TEST "
                   f"--num_iterations {args.num_iterations} --runs {args.runs} --threads {args.threads}",
        "medians": medians(runs), "loaded": loaded(runs), "runs": [{key: value for key, value in row.items() if key != "versions"} for row in runs],
    }
    text = json.dumps(record, indent=1)
    print(json.dumps(record["medians"], indent=1))
    if args.record:
        pathlib.Path(args.record).write_text(text + "\n", encoding="utf-8")


def loaded(runs):
    """Runs whose seconds are too long, since other programs took part of the processor meanwhile."""
    return [f"{row['task']} {row['engine']} {row['run']}" for row in runs if row["others"] > LOADED]


def described(path):
    return {"file": "/".join(pathlib.Path(path).parts[-2:]), "rows": sum(1 for _ in open(path, encoding="utf-8"))}


def medians(runs):
    keys = ("seconds", "wall", "peak_mib", "accuracy", "f1_macro", "log_loss")
    groups = {}
    for row in runs:
        groups.setdefault(f"{row['task']} {row['engine']}", []).append(row)
    return {name: {key: statistics.median(row[key] for row in rows) for key in keys} for name, rows in groups.items()}


if __name__ == "__main__":
    main()
