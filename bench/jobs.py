"""From a task to the flags of its engines, and from their output to a row of the record. Standard library only."""

import json
import pathlib
import statistics

import accuracy
import operations
import tasks
import texts

WARM_UP_TEXTS = 32
WARM_UP_CALLS = 10
WARM_UP_STEPS = 1
BATCH = 32


class Job:
    """One task, prepared in a folder of its own; engines run it any number of times."""

    def __init__(self, task, folder, threads):
        self.task, self.folder = task, pathlib.Path(folder)
        self.threads = task.threads or threads
        # Of the measured part; None where lengths are known to the tokenizer alone.
        self.operations = None
        self.flags = {"model": tasks.MODELS[task.model], "threads": self.threads} | PREPARE[task.kind](self)
        self.count = 0

    def write(self, lines, name="texts.txt"):
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def flags_of(self, engine):
        """Flags of one run: vectors are kept by engine, folders of trained models are new ones."""
        if self.task.kind in ("encode", "retrieval"):
            return self.flags | {"vectors": self.vectors(engine)}
        if self.task.kind in ("train", "recipe"):
            self.count += 1
            return self.flags | {"output": self.folder / f"{engine}-{self.count}"}
        return self.flags

    def vectors(self, engine):
        return self.folder / f"{engine}.f32"

    def rows(self, engine):
        path = self.vectors(engine)
        return accuracy.read_rows(path, self.task.width) if path.exists() else None


def throughput_flags(job, lines, warm_up=WARM_UP_TEXTS, max_length=tasks.MAX_LENGTH):
    return {"mode": "throughput", "texts": job.write(lines), "max-length": max_length, "batch": BATCH, "warm-up": warm_up}


def encode(job):
    lines = texts.texts(job.task.settings["length"], job.task.settings["count"])
    encoder = operations.Encoder.read(tasks.MODELS[job.task.model])
    job.operations = sum(encoder.forward(texts.tokens(line)) for line in lines)
    return throughput_flags(job, lines)


def retrieval(job):
    """The model's own greatest length, so that the quality is that of the model as it is used."""
    documents, queries, _ = texts.retrieval(**job.task.settings)
    return throughput_flags(job, [*documents.values(), *queries.values()], max_length=256)


def latency(job):
    settings = job.task.settings
    source = job.write(texts.texts(settings["length"], settings["count"]))
    return {"mode": "latency", "texts": source, "max-length": tasks.MAX_LENGTH, "batch": max(BATCH, settings["per_call"]),
            "warm-up": min(WARM_UP_CALLS, settings["calls"]), "per-call": settings["per_call"], "calls": settings["calls"]}


def cold(job):
    return throughput_flags(job, texts.texts("short", 1), warm_up=0, max_length=256)


def train(job):
    """Pairs of a length or a distribution of lengths, or the real ones of any."""
    settings = job.task.settings
    data = texts.FINANCE / "train.jsonl"
    if settings["length"]:
        rows = texts.pairs(settings["length"], 2 * (WARM_UP_STEPS + settings["steps"]) * settings["batch"])
        data = job.write(map(json.dumps, rows), "train.jsonl")
        job.operations = settings["steps"] * settings["batch"] * mean_operations(job, rows)
    return {"data": data, "warm-up": WARM_UP_STEPS, "steps": settings["steps"], "batch": settings["batch"], "dims": settings["dims"]}


def mean_operations(job, rows):
    """Of a pair: the trainer draws the rows of a step."""
    encoder = operations.Encoder.read(tasks.MODELS[job.task.model])
    return statistics.mean(sum(encoder.training(texts.tokens(text)) for text in row.values()) for row in rows)


def recipe(job):
    return {"data": texts.FINANCE / "reference", "epochs": job.task.settings["epochs"], "dims": job.task.settings["dims"]}


PREPARE = {"encode": encode, "retrieval": retrieval, "latency": latency, "cold": cold, "train": train, "recipe": recipe}

# the number that a task is about, and whether more of it is better
METRIC = {
    "encode": ("tokens_per_second", True),
    "retrieval": ("tokens_per_second", True),
    "latency": ("p50_ms", False),
    "cold": ("wall", False),
    "train": ("pairs_per_second", True),
    "recipe": ("wall", False),
}


def row(task, output, cost):
    """What one run says: times of the task itself, wall time and memory of the process."""
    values = cost | {key: value for key, value in output.items() if key not in ("versions", "milliseconds", "texts")}
    if task.kind in ("encode", "retrieval"):
        values["tokens_per_second"] = round(values["tokens"] / values["seconds"], 1)
    if task.kind == "train":
        values["pairs_per_second"] = round(values["steps"] * task.settings["batch"] / values["seconds"], 3)
    if task.kind == "latency":
        values |= percentiles(output["milliseconds"])
        values["texts_per_second"] = round(1e3 * task.settings["per_call"] / values["p50_ms"], 2)
    return values


def percentiles(times):
    times = sorted(times)
    at = lambda share: times[min(len(times) - 1, int(share * len(times)))]
    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "calls": len(times)}


def medians(runs):
    numbers = [key for key, value in runs[0].items() if isinstance(value, (int, float))]
    return {key: statistics.median(run[key] for run in runs) for key in numbers}


def quality(job, engine, reference):
    """Distance from the reference's vectors; for retrieval also NDCG@10."""
    rows = job.rows(engine)
    if rows is None:
        return {}
    found = accuracy.compare(rows, reference) if reference else {}
    if job.task.kind == "retrieval":
        documents, queries, relevant = texts.retrieval(**job.task.settings)
        split = len(documents)
        found["ndcg@10"] = accuracy.ndcg_at_10(dict(zip(documents, rows[:split])), dict(zip(queries, rows[split:])), relevant)
    return found
