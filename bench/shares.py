"""Families beside BERT-base, in turns: what share of BERT-base's operations a second each of them reaches. Standard library only.

    python3 bench/shares.py [--pairs 3] [--record FILE]

The tasks are those of `family-*` in f32, which must be measured minutes apart; on a shared machine a difference of a tenth is
then the machine's. Here BERT-base and a family run at once, in turns of a tenth of a second. The seconds are those of the
whole process: opening and saving weigh on a large model, here XLM-R-base. It needs what run.sh builds.
"""

import argparse
import json
import os
import pathlib
import statistics
import tempfile

import cargo
import jobs
import machine
import process
import rivals
import table
import tasks

HERE = pathlib.Path(__file__).resolve().parent
ENGINE = "matryo-f32"
BASE = "bert-base"
FAMILIES = ("modernbert-base", "xlm-roberta-base")
# Longer than in family-*, so that opening the model weighs little.
COUNT, STEPS, BATCH = 192, 3, 16


def flags():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3, help="paired runs (default: 3)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--record", type=pathlib.Path, help="default: bench/records/shares-<date>.json")
    return parser.parse_args()


def task(kind, model):
    if kind == "encode":
        return tasks.encode(model, "mixed", COUNT, [ENGINE])
    settings = {"length": "mixed", "steps": STEPS, "batch": BATCH, "dims": tasks.DIMS[model]}
    return tasks.Task("train", model, [ENGINE], settings)


def ratios(kind, model, args):
    """Operations a second of `model` as a share of BERT-base's, one number a pair."""
    found = []
    for number in range(args.pairs):
        order = [BASE, model] if number % 2 == 0 else [model, BASE]
        with tempfile.TemporaryDirectory() as folder:
            prepared = [prepare(kind, name, pathlib.Path(folder) / name, args) for name in order]
            costs = process.in_turns([command for _, command in prepared], args.threads)
        rates = {name: work / cost["active"] for name, (work, _), cost in zip(order, prepared, costs)}
        found.append({"share": round(rates[model] / rates[BASE], 4)} | dict(zip(order, costs)))
        print(kind, model, found[-1], flush=True)
    return found


def prepare(kind, model, folder, args):
    """Operations and command of one run."""
    folder.mkdir()
    job = jobs.Job(task(kind, model), folder, args.threads)
    work = job.operations
    if kind == "train":
        # All steps are in the process's time, the warm-up's too.
        work *= (STEPS + jobs.WARM_UP_STEPS) / STEPS
    return work, rivals.command(ENGINE, kind, job.flags_of(ENGINE), None)


def main():
    args = flags()
    record = machine.record(args.threads, cargo.release() / "matryo") | {"shares": {}}
    target = args.record or HERE / "records" / f"shares-{record['date'][:10]}.json"
    rows = []
    for kind in ("encode", "train"):
        for model in FAMILIES:
            runs = ratios(kind, model, args)
            shares = [run["share"] for run in runs]
            record["shares"][f"{kind}-{model}"] = {"median": statistics.median(shares), "runs": runs}
            rows.append([f"{kind} {model}", f"{statistics.median(shares):.3f}", f"{min(shares):.3f} to {max(shares):.3f}"])
            target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table.markdown(["task", "share of BERT-base's operations a second, median", "all"], rows))


if __name__ == "__main__":
    main()
