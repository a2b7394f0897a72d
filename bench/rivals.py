"""The engines and the commands that start them, as data. Standard library only.

An engine is a library at a precision, written `library-precision`. Every command takes the flags of engines/README.md.
"""

import pathlib
import sys

import cargo

ENGINES = pathlib.Path(__file__).parent / "engines"
CACHE = pathlib.Path(__file__).parent / ".cache"

# The precisions of matryo that are measured: the one list to extend.
MATRYO_ENCODE = ["f32", "bf16", "int16", "int8"]
MATRYO_TRAIN = ["f32", "bf16", "int16"]

REFERENCE = "sentence-transformers-f32"
REFERENCES = [REFERENCE, "sentence-transformers-bf16"]

ENCODERS = [f"matryo-{precision}" for precision in MATRYO_ENCODE] + REFERENCES + [
    "onnxruntime-f32", "onnxruntime-int8", "openvino-f32", "openvino-int8", "candle-f32",
]
TRAINERS = [f"matryo-{precision}" for precision in MATRYO_TRAIN] + REFERENCES
# Those that read any family.
OF_FAMILIES = ["matryo-f32", "matryo-int8", REFERENCE, "openvino-f32", "openvino-int8"]
SCALED = [f"matryo-{precision}" for precision in MATRYO_ENCODE] + [REFERENCE]

ENCODE = "encode"  # also latency, retrieval and cold start: the same program
PROGRAMS = {
    ("matryo", ENCODE): ["BENCH_ENCODE"],
    ("matryo", "train"): [sys.executable, ENGINES / "matryo_train.py", "--matryo", "MATRYO"],
    ("matryo", "recipe"): [sys.executable, ENGINES / "matryo_train.py", "--matryo", "MATRYO"],
    ("sentence-transformers", ENCODE): ["PYTHON", ENGINES / "st_encode.py"],
    ("sentence-transformers", "train"): ["PYTHON", ENGINES / "st_train.py"],
    ("sentence-transformers", "recipe"): ["PYTHON", ENGINES / "st_recipe.py"],
    ("onnxruntime", ENCODE): ["PYTHON", ENGINES / "ort_encode.py"],
    ("openvino", ENCODE): ["PYTHON", ENGINES / "ov_encode.py"],
    ("candle", ENCODE): ["CANDLE"],
}
# Where the graphs lie of engines that read no model folder, one folder a model.
GRAPHS = {"onnxruntime": CACHE / "onnx", "openvino": CACHE / "openvino"}


def command(engine, kind, job, python):
    """The command line of `engine` for `job`, the flags and their values."""
    library, precision = engine.rsplit("-", 1)
    if library == "matryo" and kind == "cold":
        return matryo_cold(job, precision)
    program = PROGRAMS[library, kind if kind in ("train", "recipe") else ENCODE]
    # Always said: the default of a processor with AMX is another.
    flags = dict(job) | {"precision": precision}
    if library in GRAPHS:
        flags["graphs"] = GRAPHS[library] / pathlib.Path(job["model"]).name
    return [placed(part, python) for part in program] + flat(flags)


def placed(part, python):
    """A program's part with the place where it lies."""
    if part == "PYTHON":
        return python
    if part == "MATRYO":
        return cargo.release() / "matryo"
    if part == "BENCH_ENCODE":
        return cargo.release() / "examples" / "bench_encode"
    if part == "CANDLE":
        return cargo.release(ENGINES / "candle") / "candle-bench"
    return part


def matryo_cold(job, precision):
    """The command as a user gives it."""
    text = pathlib.Path(job["texts"]).read_text(encoding="utf-8").strip()
    flags = ["--threads", job["threads"], "--precision", precision, "--quiet"]
    return [cargo.release() / "matryo", "encode", job["model"], text, *flags]


def flat(flags):
    return [part for name, value in flags.items() for part in (f"--{name}", value)]
