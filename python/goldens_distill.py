"""Distils tiny models of goldens_families.py with model2vec.

usage: goldens_distill.py OUTPUT_FOLDER

The repository's OUTPUT_FOLDER is crates/distill/tests/golden; set HF_HUB_OFFLINE=1. OUTPUT_FOLDER receives for each family
  NAME.json            tokens in the order of their ids, the words that were to be added, texts and their ids
  NAME.safetensors     the table

Made with model2vec 0.10, transformers 5.24.0, tokenizers 0.23.3, torch 2.15 on a CPU.
"""

import json
import sys
from pathlib import Path

import torch
from model2vec.distill import distill
from safetensors.torch import save_file

REPOSITORY = Path(__file__).resolve().parents[1]
FAMILIES = ("bert", "xlm-roberta", "roberta")
DIMENSIONS = 16
# A new word, one that is cut into pieces otherwise, one that is a token already or empty, and one that the tokenizer splits.
WORDS = ["ebitda", "Goodwill", "the", "  ", "what-if", "ebitda"]
TEXTS = ["What was the EBITDA in 2019?", "goodwill and what-if", "revenue"]


def make(name: str, target: Path):
    folder = REPOSITORY / "crates/testkit/families" / name / "model"
    model = distill(str(folder), vocabulary=WORDS, pca_dims=DIMENSIONS, quantize_to="float32", device="cpu")
    vocabulary = model.tokenizer.get_vocab()
    about = {
        "tokens": sorted(vocabulary, key=vocabulary.get),
        "words": WORDS,
        "texts": TEXTS,
        "ids": [encoding.ids for encoding in model.tokenizer.encode_batch(TEXTS, add_special_tokens=False)],
    }
    (target / f"{name}.json").write_text(json.dumps(about, ensure_ascii=False) + "\n", encoding="utf-8")
    save_file({"table": torch.tensor(model.embedding)}, target / f"{name}.safetensors")


def main():
    torch.set_num_threads(1)
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for name in FAMILIES:
        make(name, target)


if __name__ == "__main__":
    main()
