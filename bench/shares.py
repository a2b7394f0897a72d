"""Families beside BERT-base, in turns: what share of BERT-base's operations a second each of them reaches. Standard library only.

    python3 bench/shares.py [--pairs 3] [--only train] [--families t5-base] [--record FILE]

The tasks are those of `family-*` in f32, which must be measured minutes apart; on a shared machine a difference of a tenth is
then the machine's. Here BERT-base and a family run at once, in turns of a tenth of a second. Seconds of encoding are those of the
whole process; seconds of training are those by which a run of some more steps is longer than one of two, so that neither opening
nor saving nor a first step counts. What these vary by weighs least in many steps. It needs what run.sh builds.
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
FAMILIES = [family for family in tasks.FAMILIES if family != BASE]
# Longer than in family-*, so that opening the model weighs little.
COUNT, BATCH = 192, 16
# Measured steps of the shorter of the two runs whose difference counts, after a first step.
SHORT = 1


def flags():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3, help="paired runs (default: 3)")
    parser.add_argument("--steps", type=int, default=3, help="steps of training that count (default: 3)")
    parser.add_argument("--only", nargs="*", choices=("encode", "train"))
    parser.add_argument("--families", nargs="*", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--record", type=pathlib.Path, help="default: bench/records/shares[-ONLY]-<date>.json")
    return parser.parse_args()


def encoding(model):
    return tasks.encode(model, "mixed", COUNT, [ENGINE])


def training(model, steps):
    return tasks.Task("train", model, [ENGINE], {"length": "mixed", "steps": steps, "batch": BATCH, "dims": tasks.DIMS[model]})


def run(to_do, args):
    """Operations and costs of each of two tasks that run in turns."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = [prepare(task, pathlib.Path(folder) / str(number), args) for number, task in enumerate(to_do)]
        costs = process.in_turns([command for _, command in prepared], args.threads)
    return [(work, cost) for (work, _), cost in zip(prepared, costs)]


def prepare(task, folder, args):
    """Operations and command of one run."""
    folder.mkdir()
    job = jobs.Job(task, folder, args.threads)
    return job.operations, rivals.command(ENGINE, task.kind, job.flags_of(ENGINE), None)


def encode(models, args):
    """Operations, seconds and costs of each model."""
    return [(work, cost["active"], cost) for work, cost in run([encoding(model) for model in models], args)]


def train(models, args):
    """Operations, seconds and costs of each model, of the steps alone."""
    most = SHORT + args.steps
    short, long = (run([training(model, steps) for model in models], args) for steps in (SHORT, most))
    # The trainer draws rows anew for each number of steps, the same ones for both models; operations are the mean of all rows.
    return [
        (work * args.steps / most, difference(cost, start), cost | {"short": start})
        for (_, start), (work, cost) in zip(short, long)
    ]


def difference(long, short):
    """Seconds by which a run is longer than a shorter one."""
    seconds = long["active"] - short["active"]
    if seconds <= 0:
        raise SystemExit(f"a longer run took {seconds:.2f} s more than a shorter one: measure again on a quieter machine")
    return seconds


KINDS = {"encode": encode, "train": train}


def ratios(kind, model, args):
    """Operations a second of `model` as a share of BERT-base's, one number a pair."""
    found = []
    for number in range(args.pairs):
        order = [BASE, model] if number % 2 == 0 else [model, BASE]
        results = dict(zip(order, KINDS[kind](order, args)))
        rates = {name: work / seconds for name, (work, seconds, _) in results.items()}
        costs = {name: cost for name, (_, _, cost) in results.items()}
        found.append({"share": round(rates[model] / rates[BASE], 4)} | costs)
        print(kind, model, found[-1], flush=True)
    return found


def main():
    args = flags()
    record = machine.record(args.threads, cargo.release() / "matryo") | {"shares": {}}
    only = "".join(f"-{kind}" for kind in args.only or ())
    target = args.record or HERE / "records" / f"shares{only}-{record['date'][:10]}.json"
    rows = []
    for kind in args.only or KINDS:
        for model in args.families:
            runs = ratios(kind, model, args)
            shares = [run["share"] for run in runs]
            record["shares"][f"{kind}-{model}"] = {"median": statistics.median(shares), "runs": runs}
            rows.append([f"{kind} {model}", f"{statistics.median(shares):.3f}", f"{min(shares):.3f} to {max(shares):.3f}"])
            target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table.markdown(["task", "share of BERT-base's operations a second, median", "all"], rows))


if __name__ == "__main__":
    main()
