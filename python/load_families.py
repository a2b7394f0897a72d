"""Loads model folders in sentence-transformers and prints, as one JSON object per line, what it makes of each.

usage: load_families.py MODEL_FOLDER...

Folders of the same model in two layouts must print the same digest. load_check.py compares with matryo's own vectors.
"""

import hashlib
import json
import sys

import torch
from sentence_transformers import SentenceTransformer

TEXTS = ["", "What was the total revenue in 2019?", "Ünïcödé, 日本語 and 🚀 " * 40]


def description(folder: str) -> dict:
    model = SentenceTransformer(folder, device="cpu")
    vectors = model.encode(TEXTS)
    return {
        "folder": folder,
        "modules": [type(module).__name__ for module in model],
        "model_type": model[0].auto_model.config.model_type,
        "max_seq_length": model.max_seq_length,
        "tokens": [len(model.preprocess([text])["input_ids"][0]) for text in TEXTS],
        "first": [[round(float(value), 6) for value in vector[:4]] for vector in vectors],
        "digest": hashlib.sha256(vectors.tobytes()).hexdigest(),
    }


def main():
    # On one thread the same weights give the same bits.
    torch.set_num_threads(1)
    for folder in sys.argv[1:]:
        print(json.dumps(description(folder)))


if __name__ == "__main__":
    main()
