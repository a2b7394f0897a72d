"""matryo beside sentence-transformers: the same task, alternating, one record. Standard library only."""

import argparse
import array
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).parent
FINANCE = HERE.parent / "examples" / "finance"
MODELS = {"minilm": HERE.parent / "quickstart" / "base", "bert-base": HERE / ".cache" / "bert-base"}
# passages to encode; optimizer steps of 32 pairs to train; sized for minutes, not hours, on two cores
ENCODE = {"minilm": 560, "bert-base": 160}
TRAIN = {"minilm": (6, "384,256,128,64,32"), "bert-base": (2, "768,512,256,128,64")}


def measured(command, env=None):
    """Runs a command; its last line of standard output (JSON), its wall seconds and its peak memory in MiB."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=subprocess.PIPE, env=env)
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        output.seek(0)
        lines = output.read().decode().strip().splitlines()
    if status != 0:
        raise SystemExit(f"{command} failed:\n{errors.decode()[-3000:]}")
    return lines, {"wall": round(wall, 3), "peak_mib": round(usage.ru_maxrss / 1024, 1)}


def read_npy(path):
    """A float32 .npy file as a flat array."""
    data = path.read_bytes()
    header = int.from_bytes(data[8:10], "little")
    values = array.array("f")
    values.frombytes(data[10 + header:])
    return values


def environment(threads):
    return dict(os.environ, HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS=str(threads))


def encode_task(name, args, folder):
    """Both engines encode the same passages of mixed length; the vectors are compared."""
    source = folder / "texts.jsonl"
    lines = (FINANCE / "eval" / "corpus.jsonl").read_text(encoding="utf-8").splitlines()[: ENCODE[name]]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    ours, theirs = folder / "ours.npy", folder / "theirs.npy"

    def matryo():
        out, cost = measured([args.matryo, "encode", MODELS[name], "--input", source, "--column", "text", "--output", ours,
                              "--threads", args.threads, "--json", "--quiet"])
        report = json.loads(out[-1])
        return cost | {"seconds": report["seconds"], "tokens": report["tokens"]}

    def python():
        out, cost = measured([args.python, HERE / "engines" / "st_encode.py", MODELS[name], source, theirs, args.threads],
                             environment(args.threads))
        return cost | json.loads(out[-1])

    def compare(runs):
        difference = max(abs(a - b) for a, b in zip(read_npy(ours), read_npy(theirs), strict=True))
        tokens = runs["matryo"][0]["tokens"]
        rates = {engine: round(tokens / median(rows, "seconds")) for engine, rows in runs.items()}
        return {"tokens": tokens, "tokens_per_second": rates, "max_abs_difference": difference}

    return matryo, python, compare


def train_task(name, args, folder):
    """Both engines take the same optimizer steps on the same pairs, without evaluation or saving in the time."""
    steps, dims = TRAIN[name]
    data = FINANCE / "train.jsonl"

    def matryo():
        target = folder / f"ours-{time.monotonic_ns()}"
        _, cost = measured([args.matryo, "train", "--model", MODELS[name], "--train_data", data, "--output_dir", target,
                            "--columns", "positive,anchor", "--loss", "MultipleNegativesRankingLoss", "--matryoshka_dims", dims,
                            "--max_steps", steps, "--per_device_train_batch_size", 32, "--learning_rate", 2e-5,
                            "--batch_sampler", "no_duplicates", "--save_strategy", "no", "--eval_strategy", "no", "--seed", 42,
                            "--threads", args.threads, "--quiet"])
        log = json.loads((target / "trainer_state.json").read_text())["log_history"][-1]
        return cost | {"seconds": log["train_runtime"], "train_loss": log["train_loss"]}

    def python():
        out, cost = measured([args.python, HERE / "engines" / "st_train.py", MODELS[name], data, folder / "theirs", args.threads,
                              steps, 32, dims], environment(args.threads))
        return cost | json.loads(out[-1])

    def compare(runs):
        return {"steps": steps, "pairs_per_second": {e: round(steps * 32 / median(r, "seconds"), 2) for e, r in runs.items()}}

    return matryo, python, compare


TASKS = {f"{kind}-{name}": (task, name) for kind, task in (("encode", encode_task), ("train", train_task)) for name in MODELS}


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def run_task(title, args):
    task, name = TASKS[title]
    with tempfile.TemporaryDirectory() as folder:
        matryo, python, compare = task(name, args, pathlib.Path(folder))
        runs = {"matryo": [], "sentence-transformers": []}
        for turn in range(args.runs):
            for engine, call in (("matryo", matryo), ("sentence-transformers", python)):
                runs[engine].append(call())
                print(f"{title} {turn + 1}/{args.runs} {engine}: {runs[engine][-1]}", flush=True)
        summary = compare(runs)
    speed = median(runs["sentence-transformers"], "seconds") / median(runs["matryo"], "seconds")
    memory = median(runs["matryo"], "peak_mib") / median(runs["sentence-transformers"], "peak_mib")
    return {"speed_ratio": round(speed, 2), "memory_ratio": round(memory, 3), **summary, "runs": runs}


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gib": round(memory, 1), "system": platform.platform()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True)
    parser.add_argument("--matryo", required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=TASKS, default=list(TASKS))
    parser.add_argument("--record", type=pathlib.Path, help="where to write (default: bench/records/<date>.json)")
    args = parser.parse_args()
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=HERE).stdout.strip()
    now = datetime.datetime.now(datetime.timezone.utc)
    record = {"date": now.isoformat(timespec="seconds"), "commit": commit, "machine": machine(), "threads": args.threads,
              "tasks": {title: run_task(title, args) for title in args.only}}
    target = args.record or HERE / "records" / f"{now:%Y-%m-%d-%H%M}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(record, indent=1) + "\n")
    for title, task in record["tasks"].items():
        print(f"{title}: {task['speed_ratio']}x the speed, {task['memory_ratio']}x the memory of sentence-transformers")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
