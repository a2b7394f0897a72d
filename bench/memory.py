"""The peak memory that `matryo train` predicts beside the one that the system reports. Standard library only."""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile

import tasks

HERE = pathlib.Path(__file__).parent
FINANCE = HERE.parent / "examples" / "finance"
# model: folder, widths, optimizer steps
MODELS = {name: (tasks.MODELS[name], tasks.DIMS[name], 2) for name in tasks.FAMILIES} | {
    "minilm": (tasks.MODELS["minilm"], tasks.DIMS["minilm"], 3),
}
# model, tokens_per_batch, retain, whether to evaluate and save
RUNS = [
    ("minilm", 2048, "all", False), ("minilm", 2048, "1", False), ("minilm", 2048, "0", False), ("minilm", 512, "all", False),
    ("minilm", 512, "0", False), ("minilm", 8192, "all", False), ("minilm", 2048, "0", True),
    ("bert-base", 2048, "all", False), ("bert-base", 2048, "1", False), ("bert-base", 2048, "0", False),
    ("bert-base", 512, "0", False), ("bert-base", 8192, "all", False),
    *((name, 2048, "all", False) for name in tasks.FAMILIES if name != "bert-base"),
]


def train(binary, run, threads):
    """(predicted, measured) peak in MiB."""
    name, tokens, retain, evaluates = run
    model, dims, steps = MODELS[name]
    # One epoch of few rows, so that the run ends with the evaluation.
    follow_up = ["--eval_data", FINANCE / "eval", "--eval_strategy", "epoch", "--save_strategy", "epoch"]
    if not evaluates:
        follow_up = ["--eval_strategy", "no", "--save_strategy", "no"]
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "train.jsonl"
        lines = (FINANCE / "train.jsonl").read_text(encoding="utf-8").splitlines()[: 32 * steps]
        data.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [binary, "train", "--model", model, "--train_data", data, "--output_dir", f"{folder}/out", "--columns",
                   "positive,anchor", "--matryoshka_dims", dims, "--per_device_train_batch_size", 32, "--num_train_epochs", 1,
                   "--batch_sampler", "no_duplicates", "--tokens_per_batch", tokens, "--retain", retain, "--threads", threads,
                   *follow_up]
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        events = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command} failed:\n{events[-3000:]}")
    memory = json.loads(events.splitlines()[0])["memory"]
    return {part: size / 2**20 for part, size in memory.items()}, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matryo", default=HERE.parent / "target" / "release" / "matryo")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--parts", action="store_true", help="show what the prediction is made of")
    args = parser.parse_args()
    print("| model | tokens_per_batch | retain | evaluates, saves | predicted | measured | error |\n|---|---|---|---|---|---|---|")
    for run in RUNS:
        if run[0] not in args.only:
            continue
        memory, measured = train(args.matryo, run, args.threads)
        name, tokens, retain, evaluates = run
        predicted = memory.pop("total")
        print(f"| {name} | {tokens} | {retain} | {'yes' if evaluates else 'no'} | {predicted:,.0f} MiB | {measured:,.0f} MiB "
              f"| {100 * (predicted / measured - 1):+.1f} % |", flush=True)
        if args.parts:
            print("  ", {part: round(size, 1) for part, size in memory.items()}, flush=True)


if __name__ == "__main__":
    main()
