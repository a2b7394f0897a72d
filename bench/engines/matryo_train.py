"""Trains with the `matryo` command: some steps, or the reference recipe; flags and output as engines/README.md says."""

import argparse
import json
import pathlib
import subprocess
import sys
import time

COMMON = {"columns": "positive,anchor", "loss": "MultipleNegativesRankingLoss", "batch_sampler": "no_duplicates", "seed": 42}


def flags():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("matryo", "model", "data", "output"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    for name in ("threads", "steps", "batch", "epochs"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--dims", required=True)
    parser.add_argument("--precision")
    return parser.parse_args()


def steps(args):
    """Steps alone: nothing is evaluated or saved in between."""
    return ["train"], COMMON | {
        "train_data": args.data, "max_steps": args.warm_up + args.steps, "per_device_train_batch_size": args.batch, "learning_rate": 2e-5,
        "save_strategy": "no", "eval_strategy": "no",
    }


def recipe(args):
    """The recipe as published, on another base model and evaluated once more, before it starts."""
    config = args.data.parent / "reference.toml"
    return ["train", config], {
        "train_data": args.data / "train.jsonl", "eval_data": args.data / "eval", "num_train_epochs": args.epochs,
        "eval_on_start": "true",
    }


def run(args, command, keys):
    keys = keys | {"model": args.model, "output_dir": args.output, "matryoshka_dims": args.dims, "threads": args.threads}
    if args.precision:
        keys["precision"] = args.precision
    flat = [str(part) for name, value in keys.items() for part in (f"--{name}", value)]
    start = time.perf_counter()
    ends = step_ends([str(part) for part in (args.matryo, *command)] + flat)
    return time.perf_counter() - start, ends


def step_ends(command):
    """When each step was over; events come as lines of JSON."""
    ends = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith('{"') and json.loads(line).get("event") == "step":
                ends.append(time.perf_counter())
            elif not line.startswith('{"'):
                print(line, end="", file=sys.stderr)
    if process.returncode:
        raise SystemExit(process.returncode)
    return ends


def report(args, wall, ends):
    state = json.loads((args.output / "trainer_state.json").read_text())
    history = state["log_history"]
    if args.epochs:
        key = "eval_dim_128_cosine_ndcg@10"
        ndcg = [row[key] for row in history if key in row]
        return {"seconds": wall, "steps": state["global_step"], "ndcg_dim_128": ndcg, "ndcg_last": ndcg[-1]}
    return {"seconds": ends[-1] - ends[args.warm_up - 1], "steps": len(ends) - args.warm_up, "train_loss": history[-1]["train_loss"]}


def main():
    args = flags()
    command, keys = recipe(args) if args.epochs else steps(args)
    print(json.dumps(report(args, *run(args, command, keys))))


main()
