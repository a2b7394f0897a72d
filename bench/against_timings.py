"""Paired timings and peak memory of two binaries; a part of against.py. Standard library only.

Both sides of a pair run at once, in turns of a tenth of a second. On a shared machine two runs one after the other differ by a
third and more, and the median of nine ratios by a tenth; so the loads of neighbours fall on both sides alike.
"""

import dataclasses
import pathlib
import shutil
import statistics
import sys

import process
import rivals
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
CALLS = {"minilm": 3000, "bert-base": 200}
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
    """Pairs of runs, both sides in turns; which one begins changes from pair to pair."""
    found = []
    for number in range(pairs):
        order = list(sides) if number % 2 == 0 else list(sides)[::-1]
        costs = process.in_turns([job.command(side) for side in order], job.args.threads)
        pair = {side.name: cost for side, cost in zip(order, costs)}
        found.append(pair)
        job.clear()
        shown = ", ".join(f"{name} {cost['active']:.4g}" for name, cost in pair.items())
        print(f"timings   {job.timing.name} {number + 1}/{pairs}: {shown}", flush=True)
    return found


class Job:
    """A timing, prepared: both sides run it any number of times."""

    def __init__(self, timing, models, args, folder):
        self.timing, self.args, self.folder = timing, args, folder
        self.model = models[timing.model]
        self.vocabulary = models["minilm"] / "vocab.txt"
        self.command = {"encode": self.encode, "latency": self.latency, "train": self.train}[timing.kind]
        self.count = TRIAL_TEXTS

    def size(self, side):
        """As many texts as the base encodes in ENCODE_SECONDS; the trial run also warms the file cache."""
        output, _ = process.measured(self.encode(side), self.args.threads)
        if not self.args.quick:
            self.count = max(TRIAL_TEXTS, round(TRIAL_TEXTS * ENCODE_SECONDS / process.last_line(output)["seconds"]))

    def encode(self, side):
        lines = texts.texts("mixed", self.count, vocabulary=self.vocabulary)
        return self.bench_encode(side, "throughput", lines, {"warm-up": WARM_UP["texts"]})

    def latency(self, side):
        calls = 20 if self.args.quick else CALLS[self.timing.model]
        lines = texts.texts("short", 64, vocabulary=self.vocabulary)
        return self.bench_encode(side, "latency", lines, {"per-call": 1, "calls": calls, "warm-up": WARM_UP["calls"]})

    def bench_encode(self, side, mode, lines, more):
        path = self.folder / "texts.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        flags = {
            "model": self.model, "precision": self.timing.precision, "mode": mode, "texts": path,
            "max-length": tasks.MAX_LENGTH,
        }
        return [side.encode, *rivals.flat(flags | more)]

    def train(self, side):
        flags = {
            "matryo": side.matryo, "model": self.model, "data": texts.FINANCE / "train.jsonl",
            "output": self.folder / f"trained-{side.name}", "threads": self.args.threads,
            "precision": self.timing.precision, "dims": tasks.DIMS[self.timing.model],
            "steps": 1 if self.args.quick else STEPS, "warm-up": WARM_UP["steps"],
            "batch": BATCH[self.timing.model],
        }
        return [sys.executable, TRAINER, *rivals.flat(flags)]

    def clear(self):
        """Removes what a run wrote, or the next one would refuse the folder."""
        for trained in self.folder.glob("trained-*"):
            shutil.rmtree(trained)


def judged(timing, job, pairs):
    ratios = [pair["base"]["active"] / pair["new"]["active"] for pair in pairs]
    low, middle, high = quartiles(ratios)
    # Peaks of the same binary differ by a tenth: it depends on which threads hold buffers at the same time.
    memory = {side: statistics.median(pair[side]["peak_mib"] for pair in pairs) for side in ("base", "new")}
    failures = []
    if middle < LEAST_RATIO:
        failures.append(f"timings: {timing.name}: slower, median of base/new {middle:.3f}")
    if memory["new"] > MOST_MEMORY * memory["base"]:
        failures.append(f"timings: {timing.name}: more memory, {memory['base']} to {memory['new']} MiB")
    return {
        "timing": timing.name,
        "texts": job.count if timing.kind == "encode" else None,
        "base": statistics.median(pair["base"]["active"] for pair in pairs),
        "new": statistics.median(pair["new"]["active"] for pair in pairs),
        "ratio": {"quartile_1": round(low, 4), "median": round(middle, 4), "quartile_3": round(high, 4)},
        "peak_mib": memory, "failures": failures, "pairs": pairs,
    }


def quartiles(values):
    if len(values) == 1:
        return values * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def table(rows):
    """Markdown, with a warning where other programs ran beside."""
    head = ["timing", "base, s", "new, s", "base/new, median", "quartiles", "peak MiB, base", "new", "verdict"]
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
        row["timing"], f"{row['base']:.4g}", f"{row['new']:.4g}",
        f"{ratio['median']:.3f}", f"{ratio['quartile_1']:.3f} to {ratio['quartile_3']:.3f}",
        f"{memory['base']:,.1f}", f"{memory['new']:,.1f}", "failed" if row["failures"] else "passed",
    ]
