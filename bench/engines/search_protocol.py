"""What the Python engines of search.py share: the flags, the vectors, one query at a time. Needs numpy."""

import argparse
import json
import pathlib
import time

import numpy as np


def flags(description, methods):
    """Flags of engines/README.md."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--method", choices=methods, required=True)
    for name in ("vectors", "queries", "hits"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    for name in ("threads", "dim", "k", "warm-up", "multiplier", "links", "build-effort"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--efforts", default="")
    return parser.parse_args()


def rows(path, dim):
    return np.fromfile(path, dtype="<f4").reshape(-1, dim)


def run(args, build, version):
    """`build` makes of all vectors a function from one query `[1, dim]` to row numbers, and the bytes of the index.

    For a graph the function takes an effort too; every one of --efforts is measured.
    """
    vectors, queries = rows(args.vectors, args.dim), rows(args.queries, args.dim)
    start = time.perf_counter()
    search, size = build(args, vectors)
    said = {"build_seconds": time.perf_counter() - start, "bytes": size, "versions": version}
    if args.efforts:
        said["variants"] = {effort: measured(args, queries, lambda query: search(query, int(effort)), f"{args.hits}.{effort}")
                            for effort in args.efforts.split(",")}
    else:
        said["milliseconds"] = measured(args, queries, search, args.hits)
    print(json.dumps(said))


def measured(args, queries, search, target):
    for query in queries[:args.warm_up]:
        search(query[None])
    times, hits = [], []
    for query in queries:
        start = time.perf_counter()
        found = search(query[None])
        times.append(round(1e3 * (time.perf_counter() - start), 4))
        hits.append(np.asarray(found).reshape(-1)[:args.k])
    np.asarray(hits, dtype="<u4").tofile(target)
    return times
