"""The Markdown tables of a record: python3 bench/table.py RECORD.json. Standard library only."""

import json
import pathlib
import sys

import jobs
import rivals

TITLES = {
    "encode": "Encoding, tokens a second", "retrieval": "Retrieval, examples/finance/eval", "latency": "Latency of a call, ms",
    "cold": "Cold start, seconds to the first vector", "train": "Training, pairs a second",
    "recipe": "The reference recipe, seconds",
}
OTHERS = 0.05  # share of the processor
# columns beside the metric: heading, where it lies in an engine's entry, format
EXTRA = {
    "latency": [("p99", "median", "p99_ms", "{:.2f}")],
    "encode": [("cosine min", "accuracy", "cosine_min", "{:.6f}"), ("cosine mean", "accuracy", "cosine_mean", "{:.6f}"),
               ("largest error", "accuracy", "max_abs_error", "{:.1e}")],
    "recipe": [("NDCG@10 of 128 dimensions", "median", "ndcg_last", "{:.4f}")],
}
EXTRA["retrieval"] = [("NDCG@10", "accuracy", "ndcg@10", "{:.4f}"), *EXTRA["encode"]]


def markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def ratio(task, engine, reference):
    """How many times as fast as the reference; empty where one of them has no figure."""
    metric, more_is_better = jobs.METRIC[task["kind"]]
    mine, other = (task["engines"].get(name, {}).get("median", {}).get(metric) for name in (engine, reference))
    if not mine or not other:
        return ""
    return f"{mine / other if more_is_better else other / mine:.2f}x"


def cells(name, task, engine, entry):
    metric, _ = jobs.METRIC[task["kind"]]
    extra = EXTRA.get(task["kind"], [])
    if "median" not in entry:
        return [name, engine, "failed", *[""] * (len(rivals.REFERENCES) + len(extra) + 1)]
    found = [entry.get(place, {}).get(key) for _, place, key, _ in extra]
    shown = ["" if value is None else form.format(value) for value, (*_, form) in zip(found, extra)]
    ratios = [ratio(task, engine, reference) for reference in rivals.REFERENCES]
    return [name, engine, number(entry["median"][metric]), *ratios, *shown, f"{entry['median']['peak_mib']:,.0f}"]


def kind_table(record, kind):
    tasks = [(name, task) for name, task in record["tasks"].items() if task["kind"] == kind and not name.startswith("scale-")]
    if not tasks:
        return ""
    head = ["task", "engine", jobs.METRIC[kind][0], *[f"to {name}" for name in rivals.REFERENCES]]
    head += [title for title, *_ in EXTRA.get(kind, [])] + ["memory, MiB"]
    rows = [cells(name, task, engine, entry) for name, task in tasks for engine, entry in task["engines"].items()]
    return f"### {TITLES[kind]}\n\n{markdown(head, rows)}\n"


def scaling_table(record):
    """A line a point, a column an engine."""
    tasks = {name: task for name, task in record["tasks"].items() if name.startswith("scale-")}
    if not tasks:
        return ""
    engines = list(next(iter(tasks.values()))["engines"])
    rows = []
    for name, task in tasks.items():
        key = "texts_per_second" if task["kind"] == "latency" else "tokens_per_second"
        values = [task["engines"].get(engine, {}).get("median", {}).get(key) for engine in engines]
        ratios = [ratio(task, engine, rivals.REFERENCE) for engine in engines if engine != rivals.REFERENCE]
        rows.append([name.removeprefix("scale-"), key, *["failed" if value is None else number(value) for value in values], *ratios])
    head = ["point", "figure", *engines, *[f"{engine}, ratio" for engine in engines if engine != rivals.REFERENCE]]
    return f"### Scaling, BERT-base\n\n{markdown(head, rows)}\n"


def roofline_tables(record):
    found = record.get("roofline", {})
    if "peaks" not in found:
        return ""
    peaks = [[one["instruction"], one["vector"], f"{one['one_thread_gops']:.0f}", f"{one['all_threads_gops']:.0f}"]
             for one in found["peaks"]]
    products = [[str(one["threads"]), one["precision"], f"{one['m']} x {one['k']} x {one['n']}", f"{one['gops']:.0f}",
                 "" if one["percent_of_peak"] is None else f"{one['percent_of_peak']:.0f} %"] for one in found["linear"]]
    return "\n".join([
        "### Peak of the processor, billions of operations a second\n",
        markdown(["instruction", "set", "one thread", f"{found['threads']} threads"], peaks),
        "\n### Matrix product, packed weights\n",
        markdown(["threads", "precision", "shape", "GFLOP/s", "of the peak"], products), "",
    ])


def peak_f32(record):
    """Operations a second of all threads in registers alone; None in a record without it."""
    found = [one["all_threads_gops"] for one in record.get("roofline", {}).get("peaks", []) if one["instruction"] == "f32 fma"]
    return 1e9 * max(found) if found else None


def family_table(record):
    """How much of the f32 peak each family reaches, and that as a share of what BERT-base reaches."""
    tasks = {name: task for name, task in record["tasks"].items() if name.startswith("family-")}
    peak = peak_f32(record)
    if not tasks or not peak:
        return ""
    rows = []
    for name, task in tasks.items():
        base = tasks.get(f"family-{task['kind']}-bert-base", {"engines": {}})
        for engine, entry in task["engines"].items():
            mine, other = rate(task, entry), rate(base, base["engines"].get(engine, {}))
            if mine:
                rows.append([name, engine, f"{mine / 1e9:.1f}", f"{mine / peak:.1%}", f"{mine / other:.3f}" if other else "",
                             ratio(task, engine, rivals.REFERENCE)])
    head = ["task", "engine", "Gop/s", "of the f32 peak", "beside BERT-base", f"to {rivals.REFERENCE}"]
    return f"### Families, share of the peak\n\n{markdown(head, rows)}\n"


def rate(task, entry):
    """Operations a second of an engine; None where it has no figure."""
    seconds = entry.get("median", {}).get("seconds")
    return task["operations"] / seconds if seconds else None


def failures(record):
    lines = [f"- {name}, {engine}: {brief(entry['failed'])}" for name, task in record["tasks"].items()
             for engine, entry in task["engines"].items() if "failed" in entry]
    return "### Failed\n\n" + "\n".join(lines) + "\n" if lines else ""


def brief(error):
    """How it begins, which is the exit status, and how it ends, which is the exception."""
    error = " ".join(error.split())
    return error if len(error) < 200 else f"{error[:40]} ... {error[-150:]}"


def disturbed(record):
    """A warning where figures are those of a machine that others used too."""
    runs = [run for task in record["tasks"].values() for entry in task["engines"].values() for run in entry["runs"]]
    count = sum(run.get("others", 0) > OTHERS for run in runs)
    if not count:
        return ""
    return (f"**Not to be quoted:** in {count} of {len(runs)} runs other programs took more than {OTHERS:.0%} of the processor; "
            "an engine whose threads wait for each other can then be many times slower than it is.\n")


def tables(record):
    kinds = [kind_table(record, kind) for kind in TITLES]
    quick = "**Not to be quoted:** a record of --quick, which measures next to nothing.\n" if record.get("quick") else ""
    parts = [quick, disturbed(record), *kinds, scaling_table(record), family_table(record), roofline_tables(record), failures(record)]
    return "\n".join(part for part in parts if part)


if __name__ == "__main__":
    print(tables(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))))
