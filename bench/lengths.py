"""Peak memory of a ModernBERT on texts of 2,048, 4,096 and 8,192 tokens, beside PyTorch. Standard library only.

    python3 bench/lengths.py --python PYTHON [--model FOLDER] [--record FILE]

Encoding: one text. Training: optimizer steps of one pair, a question of 16 tokens and a passage of that length. Memory that
grows with the length adds twice as much in the second doubling as in the first; what grows with its square, four times.
"""

import argparse
import json
import os
import pathlib
import tempfile

import cargo
import machine
import process
import rivals
import table
import texts

HERE = pathlib.Path(__file__).resolve().parent
LENGTHS = (2048, 4096, 8192)
QUESTION = 16
STEPS = 2
ENGINES = ("matryo-f32", rivals.REFERENCE)
# What the second doubling may add, as a multiple of what the first added.
MOST_GROWTH = 2.1


def flags():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="the interpreter that has sentence-transformers")
    parser.add_argument("--model", type=pathlib.Path, default=HERE / ".cache" / "modernbert-base")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--record", type=pathlib.Path, help="default: bench/records/lengths-<date>.json")
    return parser.parse_args()


def encode(args, folder, length):
    path = folder / "texts.txt"
    path.write_text(texts.texts(length, 1)[0] + "\n", encoding="utf-8")
    return {"mode": "throughput", "texts": path, "max-length": length, "batch": 1, "warm-up": 0}


def train(args, folder, length):
    """As many pairs as the steps need: none may come twice in a batch."""
    both = [texts.texts(size, STEPS) for size in (length, QUESTION)]
    path = folder / "train.jsonl"
    rows = [json.dumps({"positive": passage, "anchor": question}) + "\n" for passage, question in zip(*both)]
    path.write_text("".join(rows), encoding="utf-8")
    return {
        "data": path, "warm-up": 1, "steps": STEPS - 1, "batch": 1, "dims": "768,256,64",
        "output": folder / "trained",
    }


def run(kind, prepare, engine, args):
    """Peak and seconds at every length; None at one that failed, which out of memory is one way to."""
    found = []
    for length in LENGTHS:
        with tempfile.TemporaryDirectory() as folder:
            job = {"model": args.model, "threads": args.threads} | prepare(args, pathlib.Path(folder), length)
            try:
                output, cost = process.measured(rivals.command(engine, kind, job, args.python), args.threads)
                found.append({"tokens": length, "seconds": process.last_line(output)["seconds"]} | cost)
            except process.Failed as error:
                found.append({"tokens": length, "failed": str(error)[-300:]})
        print(kind, engine, found[-1], flush=True)
    return found


def growth(rows):
    """What the second doubling added, as a multiple of what the first added."""
    peaks = [row.get("peak_mib") for row in rows]
    if None in peaks:
        return None
    return (peaks[2] - peaks[1]) / (peaks[1] - peaks[0])


def shown(record):
    head = ["", "engine", *[f"{length:,} tokens, MiB" for length in LENGTHS], "second doubling / first"]
    rows = []
    for kind, engines in record["kinds"].items():
        for engine, found in engines.items():
            peaks = [f"{row['peak_mib']:,.0f}" if "peak_mib" in row else "failed" for row in found["runs"]]
            rows.append([kind, engine, *peaks, f"{found['growth']:.2f}" if found["growth"] else ""])
    return table.markdown(head, rows)


def main():
    args = flags()
    record = machine.record(args.threads, cargo.release() / "matryo") | {"kinds": {}}
    for kind, prepare in (("encode", encode), ("train", train)):
        record["kinds"][kind] = {}
        for engine in ENGINES:
            runs = run(kind, prepare, engine, args)
            record["kinds"][kind][engine] = {"runs": runs, "growth": growth(runs)}
    target = args.record or HERE / "records" / f"lengths-{record['date'][:10]}.json"
    target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(shown(record))
    ours = [engines[ENGINES[0]]["growth"] for engines in record["kinds"].values()]
    raise SystemExit(0 if all(one and one <= MOST_GROWTH for one in ours) else 1)


if __name__ == "__main__":
    main()
