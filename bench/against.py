"""Compares the present tree with a base commit: bits, speed, memory. Standard library only.

    python3 bench/against.py BASE_COMMIT [--only bits|training|timings ...] [--pairs 9]

Builds both, unless binaries are given, and runs three parts (against_bits.py, against_training.py,
against_timings.py). Exit codes: 0 passed, 1 something differs or got worse, 2 an error.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import against_bits
import against_builds
import against_timings
import against_training
import machine
import process

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
TINY = ROOT / "crates" / "testkit" / "models" / "tiny-bert"
MINILM = ROOT / "quickstart" / "base"
BERT_BASE = HERE / ".cache" / "bert-base"

# A part takes (sides, models, arguments, folder for its files) and returns rows for the record.
# Each row has a list of "failures".
PARTS = {
    "bits": against_bits.compare,
    "training": against_training.compare,
    "timings": against_timings.compare,
}


def flags():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("base", metavar="BASE_COMMIT")
    add("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run")
    add("--pairs", type=int, help="paired runs of each timing (default: 9)")
    add("--threads", type=int, default=os.cpu_count(), help="default: all cores")
    add("--minilm", type=folder, default=MINILM, help="default: quickstart/base")
    add("--bert-base", type=folder, help="default: bench/.cache/bert-base, if it is there")
    add("--quick", action="store_true", help="next to nothing to do: does the script work?")
    add("--record", type=absolute, help="default: bench/records/against-<date>.json")
    for side in ("base", "new"):
        add(f"--{side}-bin", type=absolute, help=f"the binary matryo of the {side} side")
        add(f"--{side}-encode", type=absolute, help=f"the example bench_encode of the {side} side")
    args = parser.parse_args()
    args.pairs = args.pairs or (1 if args.quick else 9)
    return args


def absolute(text):
    """Paths are relative to the folder of the caller; the script changes to the root."""
    return pathlib.Path(text).absolute()


def folder(text):
    path = absolute(text)
    if not (path / "config.json").exists():
        raise argparse.ArgumentTypeError(f"{path} holds no config.json")
    return path


def models(args):
    """Folders of the models by name. Without BERT-base its rows are missing, which is printed."""
    found = {"tiny": TINY, "minilm": args.minilm, "bert-base": args.bert_base or BERT_BASE}
    if not (args.minilm / "config.json").exists():
        raise process.Failed(f"no model in {args.minilm}: run ./quickstart.sh or give --minilm")
    if not (found["bert-base"] / "config.json").exists():
        print("note: no BERT-base (bench/engines/make_model.py makes one); it is left out")
        del found["bert-base"]
    return found


def fresh_record(args, sides, now):
    return {
        "date": now.isoformat(timespec="seconds"),
        "base": sides.base.commit,
        "commit": sides.new.commit,
        "machine": machine.machine(),
        "rustc": machine.said("rustc", "--version"),
        "threads": args.threads,
        "pairs": args.pairs,
        "quick": args.quick,
        "seconds": {},
    }


def run(args):
    """Runs the parts and returns all failures."""
    now = datetime.datetime.now(datetime.timezone.utc)
    target = args.record or HERE / "records" / f"against-{now:%Y-%m-%d-%H%M}.json"
    found = models(args)
    sides = against_builds.sides(args, HERE / ".cache" / "against")
    record = fresh_record(args, sides, now)
    for part in args.only:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as scratch:
            record[part] = PARTS[part](sides, found, args, pathlib.Path(scratch))
        record["seconds"][part] = round(time.perf_counter() - start, 1)
        write(record, target)
    if "timings" in record:
        print(against_timings.table(record["timings"]))
    print(f"seconds: {record['seconds']}; written to {target}")
    return [failure for part in args.only for row in record[part] for failure in row["failures"]]


def write(record, target):
    """After every part, so that a later error loses nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def main():
    args = flags()
    os.chdir(ROOT)
    try:
        failures = run(args)
    except (process.Failed, subprocess.CalledProcessError, OSError, LookupError, ValueError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    for failure in failures:
        print(f"failed: {failure}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
