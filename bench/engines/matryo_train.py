"""Trains with the `matryo` command: some steps, or the reference recipe; flags and output as engines/README.md says."""

import argparse
import json
import pathlib
import subprocess
import time

COMMON = {"columns": "positive,anchor", "loss": "MultipleNegativesRankingLoss", "batch_sampler": "no_duplicates", "seed": 42}


def flags():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("matryo", "model", "data", "output"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    for name in ("threads", "steps", "batch", "epochs"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--dims", required=True)
    parser.add_argument("--precision")
    return parser.parse_args()


def steps(args):
    """Steps alone: nothing is measured or saved in between."""
    return ["train"], COMMON | {
        "train_data": args.data, "max_steps": args.steps, "per_device_train_batch_size": args.batch, "learning_rate": 2e-5,
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
    subprocess.run([str(part) for part in (args.matryo, *command)] + flat + ["--quiet"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def report(args, wall):
    state = json.loads((args.output / "trainer_state.json").read_text())
    history = state["log_history"]
    if args.epochs:
        key = "eval_dim_128_cosine_ndcg@10"
        ndcg = [row[key] for row in history if key in row]
        return {"seconds": wall, "steps": state["global_step"], "ndcg_dim_128": ndcg, "ndcg_last": ndcg[-1]}
    last = history[-1]
    return {"seconds": last["train_runtime"], "steps": state["global_step"], "train_loss": last["train_loss"]}


def main():
    args = flags()
    command, keys = recipe(args) if args.epochs else steps(args)
    print(json.dumps(report(args, run(args, command, keys))))


main()
