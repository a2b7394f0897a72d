"""Makes a tiny model with every module behind the pooling, with golden values of sentence-transformers.

usage: goldens_modules.py OUTPUT_FOLDER

The repository's OUTPUT_FOLDER is crates/testkit/modules; set HF_HUB_OFFLINE=1. OUTPUT_FOLDER/stacked receives
  model/                    the folder, as sentence-transformers 6.2 saves it
  golden.json, .safetensors   texts and their embeddings
  trace.json, .safetensors    five optimizer steps, described in families_trace.py

Made with sentence-transformers 6.2.0, torch 2.15 on a CPU.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize
from sentence_transformers.sentence_transformer.modules import Dropout, LayerNorm

import families_trace

REPOSITORY = Path(__file__).resolve().parents[1]
WIDTH, WIDER = 32, 48
TEXTS = ["", "What was the total revenue in 2019?", "The company recorded a termination cost.", "interest " * 40]


def stacked() -> SentenceTransformer:
    """Nothing is dropped, so that the steps can be repeated."""
    base = SentenceTransformer(str(REPOSITORY / "crates/testkit/families/bert/model"), device="cpu")
    norm = LayerNorm(WIDTH)
    with torch.no_grad():
        norm.norm.weight.normal_(1.0, 0.2)
        norm.norm.bias.normal_(0.0, 0.2)
    dense = [
        Dense(WIDTH, WIDTH, use_residual=True),
        Dense(WIDTH, WIDER, use_residual=True, activation_function=torch.nn.GELU()),
        Dense(WIDER, WIDTH, bias=False, activation_function=torch.nn.Identity()),
    ]
    return SentenceTransformer(modules=[base[0], base[1], norm, Dropout(0.0), *dense, Normalize()], device="cpu")


def main():
    torch.set_num_threads(1)
    torch.manual_seed(7)
    folder = Path(sys.argv[1]) / "stacked"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = stacked()
    model.save_pretrained(str(folder / "model"), create_model_card=False)
    # The trainer of the record reads the folder anew.
    vectors = SentenceTransformer(str(folder / "model"), device="cpu").encode(TEXTS)
    save_file({"embeddings": torch.tensor(vectors)}, folder / "golden.safetensors")
    # The biases of keys, whose true gradient is 0: Adam makes steps of what rounding leaves of it.
    names = [name for name, _ in model[0].auto_model.named_parameters() if name.endswith("key.bias")]
    about = {"texts": TEXTS, "library": "sentence-transformers", "zero_gradients": names}
    (folder / "golden.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    families_trace.record(REPOSITORY, folder)


if __name__ == "__main__":
    main()
