"""Paired timings and peak memory of two binaries; a part of against.py. Standard library only."""

import dataclasses
import pathlib
import shutil
import statistics
import sys

import process
import table as tables
import tasks
import texts

TRAINER = pathlib.Path(__file__).resolve().parent / "engines" / "matryo_train.py"
# The median of base/new must reach this, the peak memory of new to that of base must not pass that.
LEAST_RATIO = 0.98
MOST_MEMORY = 1.01

ENCODE_SECONDS = 3.5
TRIAL_TEXTS = 32
WARM_UP = {"texts": 8, "calls": 10, "steps": 1}
CALLS = {"minilm": 1000, "bert-base": 200}
STEPS = 2
# BERT-base takes 13 s for 32 pairs on two cores of Zen 4.
BATCH = {"minilm": 32, "bert-base": 8}


@dataclasses.dataclass(frozen=True)
class Timing:
    """What is timed: `kind` is encode, latency or train."""

    kind: str
    model: str
    precision: str

    @property
    def name(self):
        return f"{self.kind} {self.model} {self.precision}"


def timings(models):
    names = [name for name in ("minilm", "bert-base") if name in models]
    encoders = [(model, precision) for model in names for precision in ("f32", "int8")]
    return [
        *(Timing("encode", *pair) for pair in encoders),
        *(Timing("latency", *pair) for pair in encoders),
        *(Timing("train", model, "f32") for model in names),
    ]


def compare(sides, models, args, folder):
    """One row per timing."""
    rows = []
    for timing in timings(models):
        job = Job(timing, models, args, folder)
        if timing.kind == "encode":
            job.size(sides.base)
        rows.append(judged(timing, job, paired(job, sides, args.pairs)))
    return rows


def paired(job, sides, pairs):
    """Pairs of runs; the order changes from pair to pair, so that a drift of the machine cancels."""
    found = []
    for turn in range(pairs):
        order = list(sides) if turn % 2 == 0 else list(sides)[::-1]
        pair = {side.name: job.run(side) for side in order}
        found.append(pair)
        shown = ", ".join(f"{name} {run['value']:.4g}" for name, run in pair.items())
        print(f"timings   {job.timing.name} {turn + 1}/{pairs}: {shown}", flush=True)
    return found


class Job:
    """A timing, prepared: both sides run it any number of times."""

    def __init__(self, timing, models, args, folder):
        self.timing, self.args, self.folder = timing, args, folder
        self.model = models[timing.model]
        self.vocabulary = models["minilm"] / "vocab.txt"
        self.runs = {"encode": self.encode, "latency": self.latency, "train": self.train}
        self.unit = {"encode": "s", "latency": "ms", "train": "s/step"}[timing.kind]
        self.count = TRIAL_TEXTS

    def size(self, side):
        """As many texts as the base encodes in ENCODE_SECONDS; the trial run also warms the file cache."""
        seconds = self.run(side)["value"]
        if not self.args.quick:
            self.count = max(TRIAL_TEXTS, round(TRIAL_TEXTS * ENCODE_SECONDS / seconds))

    def run(self, side):
        """The value, in `unit`, and what the process cost."""
        value, cost = self.runs[self.timing.kind](side)
        return {"value": value} | cost

    def encode(self, side):
        said, cost = self.bench_encode(
            side, "throughput", texts.texts("mixed", self.count, vocabulary=self.vocabulary),
            {"warm-up": WARM_UP["texts"]},
        )
        return said["seconds"], cost

    def latency(self, side):
        calls = 20 if self.args.quick else CALLS[self.timing.model]
        said, cost = self.bench_encode(
            side, "latency", texts.texts("short", 64, vocabulary=self.vocabulary),
            {"per-call": 1, "calls": calls, "warm-up": WARM_UP["calls"]},
        )
        return statistics.median(said["milliseconds"]), cost

    def bench_encode(self, side, mode, lines, more):
        path = self.folder / "texts.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        flags = {
            "model": self.model, "precision": self.timing.precision, "mode": mode, "texts": path,
            "max-length": tasks.MAX_LENGTH,
        }
        return self.measured([side.encode], flags | more)

    def train(self, side):
        output = self.folder / "trained"
        flags = {
            "matryo": side.matryo, "model": self.model, "data": texts.FINANCE / "train.jsonl",
            "output": output, "threads": self.args.threads,
            "precision": self.timing.precision, "dims": tasks.DIMS[self.timing.model],
            "steps": 1 if self.args.quick else STEPS, "warm-up": WARM_UP["steps"],
            "batch": BATCH[self.timing.model],
        }
        said, cost = self.measured([sys.executable, TRAINER], flags)
        shutil.rmtree(output)
        return said["seconds"] / said["steps"], cost

    def measured(self, program, flags):
        flat = [part for name, value in flags.items() for part in (f"--{name}", value)]
        output, cost = process.measured([*program, *flat], self.args.threads)
        return process.last_line(output), cost


def judged(timing, job, pairs):
    ratios = [pair["base"]["value"] / pair["new"]["value"] for pair in pairs]
    low, middle, high = quartiles(ratios)
    memory = {side: max(pair[side]["peak_mib"] for pair in pairs) for side in ("base", "new")}
    failures = []
    if middle < LEAST_RATIO:
        failures.append(f"timings: {timing.name}: slower, median of base/new {middle:.3f}")
    if memory["new"] > MOST_MEMORY * memory["base"]:
        failures.append(f"timings: {timing.name}: more memory, {memory['base']} to {memory['new']} MiB")
    return {
        "timing": timing.name, "unit": job.unit,
        "texts": job.count if timing.kind == "encode" else None,
        "base": statistics.median(pair["base"]["value"] for pair in pairs),
        "new": statistics.median(pair["new"]["value"] for pair in pairs),
        "ratio": {"quartile_1": round(low, 4), "median": round(middle, 4), "quartile_3": round(high, 4)},
        "peak_mib": memory, "failures": failures, "pairs": pairs,
    }


def quartiles(values):
    if len(values) == 1:
        return values * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def table(rows):
    """Markdown, with a warning where other programs ran beside."""
    head = ["timing", "base", "new", "base/new, median", "quartiles", "peak MiB, base", "new", "verdict"]
    runs = [run for row in rows for pair in row["pairs"] for run in pair.values()]
    busy = sum(run["others"] > tables.OTHERS for run in runs)
    text = tables.markdown(head, [cells(row) for row in rows])
    if busy:
        share = f"{tables.OTHERS:.0%} of the processor"
        text += f"\n\nIn {busy} of {len(runs)} runs other programs took over {share}."
    return text


def cells(row):
    ratio, memory = row["ratio"], row["peak_mib"]
    return [
        row["timing"], f"{row['base']:.4g} {row['unit']}", f"{row['new']:.4g} {row['unit']}",
        f"{ratio['median']:.3f}", f"{ratio['quartile_1']:.3f} to {ratio['quartile_3']:.3f}",
        f"{memory['base']:,.1f}", f"{memory['new']:,.1f}", "failed" if row["failures"] else "passed",
    ]
