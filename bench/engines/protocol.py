"""What the Python encoders share: the flags, the two ways to measure, the file of vectors."""

import argparse
import array
import pathlib
import time


def encode_flags(description, **extra):
    """Flags of engines/README.md; `extra` names further ones and their types."""
    parser = argparse.ArgumentParser(description=description)
    for name in ("model", "texts", "vectors"):
        parser.add_argument(f"--{name}", type=pathlib.Path)
    for name in ("threads", "max-length", "batch", "per-call", "calls", "warm-up"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--mode", choices=("throughput", "latency"), default="throughput")
    parser.add_argument("--precision", default="f32")
    for name, kind in extra.items():
        parser.add_argument(f"--{name}", type=kind)
    return parser.parse_args()


def measure(args, encode):
    """The report of `encode`, a function from texts to rows and their number of tokens."""
    texts = args.texts.read_text(encoding="utf-8").splitlines()
    return (throughput if args.mode == "throughput" else latency)(args, texts, encode)


def throughput(args, texts, encode):
    if args.warm_up:
        encode(texts[:args.warm_up])
    start = time.perf_counter()
    rows, tokens = encode(texts)
    seconds = time.perf_counter() - start
    if args.vectors:
        write_rows(args.vectors, rows)
    return {"seconds": seconds, "texts": len(texts), "tokens": tokens}


def latency(args, texts, encode):
    groups = [texts[i:i + args.per_call] for i in range(0, len(texts) - args.per_call + 1, args.per_call)]
    times = []
    for call in range(args.warm_up + args.calls):
        start = time.perf_counter()
        encode(groups[call % len(groups)])
        times.append(time.perf_counter() - start)
    return {"milliseconds": [round(1e3 * one, 4) for one in times[args.warm_up:]]}


def write_rows(path, rows):
    """Rows of f32, little-endian, one after another."""
    with open(path, "wb") as target:
        for row in rows:
            array.array("f", map(float, row)).tofile(target)
