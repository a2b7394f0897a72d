"""Search in a million vectors: matryo and its rivals on the same rows, alternating, into one record. Standard library only.

    python3 bench/search.py --python PYTHON --model FOLDER --texts FILE... --query-texts FILE...

Texts are JSON lines; sentences of `title`, `text`, `anchor` and `positive` are taken. PYTHON has numpy and, of the rivals, what is wanted of
faiss-cpu and usearch. Without --texts: examples/finance.
"""

import argparse
import array
import datetime
import json
import os
import pathlib
import random
import re
import time

import cargo
import jobs
import machine
import process
import search_engines
import texts

HERE = pathlib.Path(__file__).parent
CACHE = HERE / ".cache" / "search"
FIELDS = ("title", "text", "anchor", "positive")
WORDS = range(4, 65)
WARM_UP = 20
OTHERS = 0.05  # share of the processor
LOOK = 3  # seconds
SEED = 7


def flags():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="the interpreter that has numpy and the rivals")
    parser.add_argument("--model", type=pathlib.Path, default=texts.ROOT / "quickstart" / "model")
    parser.add_argument("--texts", type=pathlib.Path, nargs="+", default=[texts.FINANCE / "train.jsonl"])
    parser.add_argument("--query-texts", type=pathlib.Path, nargs="+", default=[texts.FINANCE / "eval" / "queries.jsonl"])
    parser.add_argument("--encoder", default=cargo.release() / "examples" / "bench_encode")
    parser.add_argument("--searcher", default=cargo.release() / "examples" / "bench_search")
    parser.add_argument("--collection", default=cargo.release() / "examples" / "bench_collection")
    parser.add_argument("--roofline", default=cargo.release() / "examples" / "roofline")
    for name, default in (("threads", os.cpu_count()), ("runs", 3), ("rows", 1_000_000), ("real", 25_000), ("queries", 200), ("dim", 384), ("k", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--patience", type=int, default=0, help="seconds to wait, and to measure again, while other programs use the processor")
    parser.add_argument("--only", nargs="*", default=[], metavar="PREFIX", help="engines whose names start so; see --list")
    parser.add_argument("--list", action="store_true", help="print the names of the engines")
    parser.add_argument("--record", type=pathlib.Path, help="default: bench/records/search-<date>.json; added to where it is there")
    return parser.parse_args()


def sentences(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        for value in filter(None, map(json.loads(line).get, FIELDS)):
            parts = re.split(r"(?<=[.!?])\s+(?=[A-Z])", texts.flat(value))
            yield from (part for part in parts if len(part.split()) in WORDS)


def sample(paths, count, seed=SEED):
    """About as many of every file as it has, none twice."""
    everything = sorted({text for path in paths for text in sentences(path)})
    return random.Random(seed).sample(everything, min(count, len(everything)))


def even_sample(paths, count):
    """As many of every file, for queries."""
    found = [sample([path], -(-count // len(paths))) for path in paths]
    return [text for texts_of_file in found for text in texts_of_file][:count]


def encoded(args, lines, target):
    source = target.with_suffix(".txt")
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [args.encoder, "--model", args.model, "--texts", source, "--mode", "throughput", "--warm-up", 32, "--batch", 32,
               "--max-length", 128, "--precision", "f32", "--vectors", target]
    process.measured(command, args.threads)


def prepared(args):
    """The files of vectors and queries, and what is known of them; made once."""
    key = f"{args.rows}-{args.real}-{args.queries}-{args.dim}"
    vectors, queries, about = (CACHE / f"{name}-{key}" for name in ("vectors.f32", "queries.f32", "about.json"))
    if not about.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        held_out = even_sample(args.query_texts, args.queries)
        lines = [line for line in sample(args.texts, args.real) if line not in set(held_out)]
        encoded(args, held_out, queries)
        encoded(args, lines, CACHE / "real.f32")
        command = [args.python, HERE / "engines" / "make_vectors.py", "--source", CACHE / "real.f32", "--target", vectors,
                   "--dim", args.dim, "--rows", args.rows, "--seed", SEED]
        found = process.last_line(process.measured(command, args.threads)[0])
        names = lambda paths: ["/".join(path.parts[-2:]) for path in paths]
        found |= {"texts": names(args.texts), "query_texts": names(args.query_texts), "model": args.model.name}
        about.write_text(json.dumps(found), encoding="utf-8")
    return vectors, queries, json.loads(about.read_text(encoding="utf-8"))


def hits(path, k):
    """Row numbers, a list a query."""
    found = array.array("I")
    found.frombytes(path.read_bytes())
    return [list(found[i:i + k]) for i in range(0, len(found), k)]


def recall(found, exact):
    return sum(len(set(a) & set(b)) / len(b) for a, b in zip(found, exact)) / len(exact)


def run_engine(engine, args, vectors, queries, folder):
    target = folder / f"{engine}.hits"
    shared = {"vectors": vectors, "queries": queries, "dim": args.dim, "k": args.k, "warm-up": WARM_UP, "hits": target}
    output, cost = undisturbed(search_engines.command(engine, shared, args), args)
    said = process.last_line(output)
    versions, variants = said.pop("versions", {}), said.pop("variants", None)
    variants = {"": said.pop("milliseconds")} if variants is None else variants
    found = [(suffix, cost | said | jobs.percentiles(times), target.with_name(target.name + (f".{suffix}" if suffix else "")))
             for suffix, times in variants.items()]
    return found, versions



def undisturbed(command, args):
    """A run beside which other programs took little, if patience allows: else the last one, and its `others` tells."""
    end = time.monotonic() + args.patience
    while True:
        while time.monotonic() < end and others() > OTHERS:
            pass
        output, cost = process.measured(command, args.threads)
        if cost["others"] <= OTHERS or time.monotonic() >= end:
            return output, cost


def others():
    """The share of the processor that is taken now; takes some seconds."""
    busy = process.busy_seconds()
    time.sleep(LOOK)
    return (process.busy_seconds() - busy) / (LOOK * os.cpu_count())


def measure(args, record, target):
    vectors, queries, record["data"] = prepared(args)
    folder = CACHE / f"hits-{vectors.suffix[1:]}"
    folder.mkdir(exist_ok=True)
    known = (folder / f"{search_engines.EXACT}.hits").exists()
    names = [name for name in search_engines.ENGINES if chosen(name, args.only) or (name == search_engines.EXACT and not known)]
    for turn in range(args.runs):
        for engine in names:
            if turn < search_engines.max_runs(engine, args.runs):
                run_into(engine, args, record, vectors, queries, folder)
                write(record, target)
    for entry in record["engines"].values():
        if entry["runs"]:
            entry["median"] = jobs.medians(entry["runs"])
    record["memory"] = memory(args)
    write(record, target)


def run_into(engine, args, record, vectors, queries, folder):
    """A graph has an entry for each effort of searching it; all share the building."""
    entries, flags_of = record["engines"], search_engines.ENGINES[engine][1]
    try:
        if "failed" in entries.get(engine, {}):
            return
        found, versions = run_engine(engine, args, vectors, queries, folder)
        record["versions"].update(versions)
        exact = hits(folder / f"{search_engines.EXACT}.hits", args.k)
        for suffix, row, rows in found:
            entry = entries.setdefault("-".join(filter(None, (engine, suffix))), {"flags": flags_of, "runs": []})
            entry["recall"] = round(recall(hits(rows, args.k), exact), 4)
            entry["runs"].append(row)
            print(f"{engine} {suffix}: {row} recall {entry['recall']}", flush=True)
    except (process.Failed, KeyError, ValueError, OSError) as error:
        entries[engine] = {"flags": flags_of, "runs": [], "failed": f"{type(error).__name__}: {error}"}
        print(f"{engine}: {entries[engine]['failed']}", flush=True)


def memory(args):
    """What all threads read of memory, in billions of bytes a second."""
    try:
        return process.last_line(process.measured([args.roofline, "1.0", "memory"], args.threads)[0])["memory"]
    except (process.Failed, KeyError) as error:
        return {"failed": str(error)}


def chosen(name, prefixes):
    return not prefixes or any(name.startswith(prefix) for prefix in prefixes)


def write(record, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def opened(target, fresh):
    """The record at `target` to go on with, else the fresh one."""
    if not target.exists():
        return fresh
    there = json.loads(target.read_text(encoding="utf-8"))
    for key in ("commit", "machine", "threads", "rows", "dim", "k"):
        if there[key] != fresh[key]:
            raise SystemExit(f"error: {target} was measured with another {key}: {there[key]}, now {fresh[key]}")
    return there


def table(record):
    """Markdown, a line an engine."""
    exact = record["engines"][search_engines.EXACT].get("median", {})
    lines = ["| engine | recall@10 | p50, ms | p99, ms | to exact | build, s | GB read | memory, MiB |", "|---|---|---|---|---|---|---|---|"]
    for name, entry in record["engines"].items():
        if "median" not in entry:
            lines.append(f"| {name} | failed | | | | | | |")
            continue
        one = entry["median"]
        lines.append(f"| {name} | {entry['recall']:.4f} | {one['p50_ms']:.2f} | {one['p99_ms']:.2f} | {exact['p50_ms'] / one['p50_ms']:.1f}x | "
                     f"{one['build_seconds']:.1f} | {one['bytes'] / 1e9:.3f} | {one['peak_mib']:,.0f} |")
    return "\n".join(lines)


def main():
    args = flags()
    os.chdir(HERE.parent)
    if args.list:
        return print("\n".join(search_engines.ENGINES))
    now = datetime.datetime.now(datetime.timezone.utc)
    record = {"date": now.isoformat(timespec="seconds"), "commit": machine.commit(), "machine": machine.machine(), "threads": args.threads,
              "rows": args.rows, "dim": args.dim, "k": args.k, "queries": args.queries,
              "versions": {"rustc": machine.said("rustc", "--version")}, "engines": {}}
    target = (args.record or HERE / "records" / f"search-{now:%Y-%m-%d}.json").resolve()
    record = opened(target, record)
    measure(args, record, target)
    print(table(record))
    print(f"written to {target}")


if __name__ == "__main__":
    main()
