"""What training with sentence-transformers needs in more than one task: flags, pairs, loss."""

import argparse
import json
import pathlib

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, losses


def flags(description, **extra):
    parser = argparse.ArgumentParser(description=description)
    for name in ("model", "data", "output"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--dims", required=True)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    for name, kind in extra.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=True)
    return parser.parse_args()


def open_all(args, pairs):
    """Model, loss and data set; the passage is the first column."""
    torch.set_num_threads(args.threads)
    model = SentenceTransformer(str(args.model), device="cpu")
    dims = [int(dim) for dim in args.dims.split(",")]
    loss = losses.MatryoshkaLoss(model, losses.MultipleNegativesRankingLoss(model), dims)
    rows = [json.loads(line) for line in pairs.read_text(encoding="utf-8").splitlines()]
    data = Dataset.from_dict({name: [row[name] for row in rows] for name in ("positive", "anchor")})
    return model, loss, data, dims
