"""Times a static model on one thread, beside model2vec in the same run.

usage: python bench/static.py MATRYO STATIC_MODEL [RUNS]

MATRYO is the binary, STATIC_MODEL a folder that `matryo distill` has written. The texts are those of examples/finance, ten times over. Both
sides are pinned to one processor; times are those of encoding alone, without opening the model, reading texts or writing vectors
(matryo's includes writing). Prints a line a run, and the medians. Needs `pip install model2vec`; Linux.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPEATED = 10


def texts() -> list[str]:
    files = [ROOT / "examples/finance/train.jsonl", ROOT / "examples/finance/eval/corpus.jsonl"]
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [value for row in rows for key, value in row.items() if key != "_id" and isinstance(value, str)] * REPEATED


def matryo(binary: str, model: str, file: str, folder: str) -> float:
    command = [binary, "encode", model, "-i", file, "-o", f"{folder}/vectors.npy", "--threads", "1", "--json", "--quiet"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["seconds"]


def main():
    binary, model, *runs = sys.argv[1:]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from model2vec import StaticModel

    rival = StaticModel.from_pretrained(model, force_download=False)
    all_texts = texts()
    times = {"matryo": [], "model2vec": []}
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/texts.jsonl"
        Path(file).write_text("".join(json.dumps({"text": text}) + "\n" for text in all_texts), encoding="utf-8")
        for _ in range(int(runs[0]) if runs else 5):
            times["matryo"].append(matryo(binary, model, file, folder))
            start = time.perf_counter()
            rival.encode(all_texts, use_multiprocessing=False)
            times["model2vec"].append(time.perf_counter() - start)
            print({name: round(values[-1], 3) for name, values in times.items()})
    medians = {name: statistics.median(values) for name, values in times.items()}
    share = medians["model2vec"] / medians["matryo"]
    print(f"{len(all_texts)} texts: " + ", ".join(f"{name} {value:.3f} s" for name, value in medians.items()) + f", {share:.1f} times")


if __name__ == "__main__":
    main()
