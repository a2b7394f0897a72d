"""The tasks, as data. Counts are sized for two cores: minutes a task, not hours. Standard library only."""

import dataclasses
import pathlib

import rivals
import texts

HERE = pathlib.Path(__file__).parent
# Families of base size, which make_model.py makes with random weights, by the names of their folders.
FAMILIES = [
    "bert-base", "modernbert-base", "xlm-roberta-base", "roberta-base", "mpnet-base", "distilbert-base", "electra-base",
    "albert-base", "ernie-base", "t5-base", "deberta-v2-base",
]
MODELS = {name: HERE / ".cache" / name for name in FAMILIES} | {
    "minilm": texts.ROOT / "quickstart" / "base",
    "bert-base-2-layers": HERE / ".cache" / "bert-base-2",
    "bert-base-6-layers": HERE / ".cache" / "bert-base-6",
}
DIMS = dict.fromkeys(MODELS, "768,512,256,128,64") | {"minilm": "384,256,128,64,32"}
WIDTHS = {"minilm": 384}
WIDTH = 768
MAX_LENGTH = 512


@dataclasses.dataclass(frozen=True)
class Task:
    """What is done (`kind`, see jobs.py), with which model, by whom, and how much of it."""

    kind: str
    model: str
    engines: list
    settings: dict
    threads: int | None = None
    max_runs: int = 100

    def quick(self):
        """The same task with next to nothing to do, to see whether it works."""
        small = {"count": 12, "calls": 10, "steps": 1, "epochs": 1, "documents": 20, "queries": 10}
        least = {key: min(value, small[key]) if key in small and value else value for key, value in self.settings.items()}
        return dataclasses.replace(self, settings=least)

    @property
    def width(self):
        return WIDTHS.get(self.model, WIDTH)


# texts to encode, by model and distribution of lengths
ENCODE = {
    "minilm": {"short": 1024, "mixed": 320, "long": 96, "max": 64},
    "bert-base": {"short": 256, "mixed": 96, "long": 32, "max": 32},
}
CALLS = {"minilm": 200, "bert-base": 100}
# optimizer steps of 32 pairs
STEPS = {"minilm": 6, "bert-base": 2}


def encode(model, length, count, engines=rivals.ENCODERS, threads=None):
    return Task("encode", model, engines, {"length": length, "count": count}, threads)


def latency(model, per_call, length=16, engines=rivals.ENCODERS, calls=None):
    count = per_call * max(1, 64 // per_call)
    settings = {"length": length, "count": count, "per_call": per_call, "calls": calls or CALLS[model]}
    return Task("latency", model, engines, settings)


def train(model, length, engines=rivals.TRAINERS, batch=32):
    settings = {"length": length, "steps": STEPS.get(model, 2), "batch": batch, "dims": DIMS[model]}
    return Task("train", model, engines, settings)


def rival_tasks():
    for model, counts in ENCODE.items():
        yield from ((f"encode-{model}-{length}", encode(model, length, count)) for length, count in counts.items())
    yield "retrieval-minilm", Task("retrieval", "minilm", rivals.ENCODERS, {"documents": None, "queries": None})
    for model in CALLS:
        yield from ((f"latency-{model}-{per_call}", latency(model, per_call)) for per_call in (1, 8))
    for model in ENCODE:
        yield f"cold-{model}", Task("cold", model, rivals.ENCODERS, {})
    for model in STEPS:
        yield from ((f"train-{model}-{name}", train(model, length)) for name, length in (("fixed", 128), ("mixed", None)))
    recipe = {"epochs": 4, "dims": "384,256,128,64"}
    yield "recipe-minilm", Task("recipe", "minilm", rivals.TRAINERS, recipe, max_runs=1)


def scaling_tasks(threads):
    """How matryo and PyTorch follow threads, texts in a call, length and depth; BERT-base, 128 tokens where not said."""
    pair = rivals.SCALED
    for count in sorted({1, threads} | {2**i for i in range(12) if 2**i < threads}):
        yield f"threads-{count}", encode("bert-base", 128, 32, pair, count)
    for per_call in (1, 2, 8, 32, 128):
        yield f"batch-{per_call}", latency("bert-base", per_call, 128, pair, max(3, 32 // per_call))
    for length, count in ((16, 256), (64, 64), (128, 32), (256, 32), (512, 16)):
        yield f"length-{length}", encode("bert-base", length, count, pair)
    for layers in (2, 6, 12):
        model = "bert-base" if layers == 12 else f"bert-base-{layers}-layers"
        yield f"layers-{layers}", encode(model, 128, 32, pair)


def family_tasks():
    """What each family makes of the processor: texts of mixed lengths, the same ones for all."""
    for model in FAMILIES:
        yield f"encode-{model}", encode(model, "mixed", 96, rivals.OF_FAMILIES)
        yield f"train-{model}", train(model, "mixed", ["matryo-f32", rivals.REFERENCE], batch=16)


def tasks(threads):
    """All tasks by name, in the order in which they run."""
    families = {f"family-{name}": task for name, task in family_tasks()}
    return dict(rival_tasks()) | families | {f"scale-{name}": task for name, task in scaling_tasks(threads)}
