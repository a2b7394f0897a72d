"""Trained weights of two binaries, compared by their digest; a part of against.py. Standard library only."""

import hashlib
import json
import shutil

import process
import tasks
import texts

PRECISIONS = ["f32", "bf16", "int16"]
DATA = texts.FINANCE / "reference" / "train.jsonl"
DROPOUT = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}

COMMON = {
    "train_data": DATA, "columns": "positive,anchor", "per_device_train_batch_size": 32,
    "lr_scheduler_type": "cosine", "batch_sampler": "no_duplicates", "eval_strategy": "no",
    "save_strategy": "no", "seed": 42,
}
# The recipe of crates/train/tests, a step every two batches.
TINY = COMMON | {
    "matryoshka_dims": "32,16,8", "num_train_epochs": 4, "gradient_accumulation_steps": 2,
    "learning_rate": "1e-3",
}
# Activations recomputed, in many batches of the encoder.
RECOMPUTED = TINY | {"tokens_per_batch": 512, "retain": 0}
MINILM = COMMON | {"matryoshka_dims": tasks.DIMS["minilm"], "max_steps": 6, "learning_rate": "2e-5"}


def compare(sides, models, args, folder):
    """One row per run and precision."""
    dropout = with_dropout(models["tiny"], folder / "tiny-dropout")
    runs = {
        "tiny": TINY | {"model": models["tiny"]},
        "tiny with dropout": TINY | {"model": dropout},
        "tiny with dropout, recomputed": RECOMPUTED | {"model": dropout},
        "minilm": MINILM | {"model": models["minilm"]} | ({"max_steps": 1} if args.quick else {}),
    }
    rows = []
    for name, keys in runs.items():
        for precision in PRECISIONS:
            digests = {side.name: weights(side, keys, precision, args.threads, folder) for side in sides}
            rows.append(row(name, precision, digests))
    return rows


def with_dropout(model, target):
    shutil.copytree(model, target)
    path = target / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | DROPOUT), encoding="utf-8")
    return target


def weights(side, keys, precision, threads, folder):
    """SHA-256 of the final weights."""
    target = folder / side.name
    keys = keys | {"precision": precision, "threads": threads, "output_dir": target}
    flat = [part for key, value in keys.items() for part in (f"--{key}", value)]
    process.measured([side.matryo, "train", *flat], threads)
    with open(target / "model.safetensors", "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    shutil.rmtree(target)
    return digest


def row(name, precision, digests):
    equal = digests["base"] == digests["new"]
    print(f"training  {name}, {precision}: {'equal' if equal else 'DIFFERENT'}", flush=True)
    failures = [] if equal else [f"training: {name}, {precision}: other weights: {digests}"]
    return {"run": name, "precision": precision, "sha256": digests, "failures": failures}
