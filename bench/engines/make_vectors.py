"""Vectors of many texts from those of fewer: rows that differ from real ones as real neighbours differ from each other. Needs numpy.

Flags: --source (f32, little-endian, rows of --dim), --rows, --target, and --seed.

A new row is `x + (y - z)`, scaled to length 1, where x and y are real rows and z is one of y's 8 nearest. So the noise has the size and the
spectrum of real differences between near texts; noise that is alike in all directions would have neither, and would spoil short prefixes.
The real rows come first.
"""

import argparse
import json
import pathlib

import numpy as np

NEIGHBOURS = 8
BLOCK = 2048


def flags():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--target", type=pathlib.Path, required=True)
    for name, default in (("dim", 384), ("rows", 1_000_000), ("seed", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def neighbours(rows):
    """The 8 nearest other rows of each, and their cosines; copies of a row are no neighbours."""
    nearest, cosines = [], []
    for start in range(0, len(rows), BLOCK):
        scores = rows[start:start + BLOCK] @ rows.T
        scores[scores > 0.9999] = -1
        some = np.argpartition(-scores, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        nearest.append(some)
        cosines.append(np.take_along_axis(scores, some, axis=1))
    return np.concatenate(nearest), np.concatenate(cosines)


def main():
    args = flags()
    random = np.random.default_rng(args.seed)
    real = unit(np.fromfile(args.source, dtype="<f4").reshape(-1, args.dim))[:args.rows]
    nearest, cosines = neighbours(real)
    made = []
    with open(args.target, "wb") as target:
        real.astype("<f4").tofile(target)
        for start in range(len(real), args.rows, 50_000):
            count = min(50_000, args.rows - start)
            x, y = (random.integers(len(real), size=count) for _ in range(2))
            z = nearest[y, random.integers(NEIGHBOURS, size=count)]
            rows = unit(real[x] + real[y] - real[z])
            made.append((rows * real[x]).sum(axis=1))
            rows.astype("<f4").tofile(target)
    quantiles = lambda values: [round(float(value), 4) for value in np.quantile(values, (0.1, 0.5, 0.9))]
    print(json.dumps({"real": len(real), "rows": args.rows, "neighbour_cosines": quantiles(cosines),
                      "made_cosines": quantiles(np.concatenate(made)) if made else []}))


main()
