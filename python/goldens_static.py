"""Makes tiny static models in every form that is read, with golden values of sentence-transformers or model2vec.

usage: goldens_static.py OUTPUT_FOLDER

The repository's OUTPUT_FOLDER is crates/testkit/static; set HF_HUB_OFFLINE=1. OUTPUT_FOLDER/NAME receives
  model/                  a model folder
  golden.json             texts, and the library that embedded them
  golden.safetensors      embeddings
  trace.json, .safetensors  five optimizer steps, described in families_trace.py; of `root` alone

Made with sentence-transformers 6.2.0, model2vec 0.10, tokenizers 0.23.3, torch 2.15 on a CPU.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import sentence_transformers
import torch
from model2vec import StaticModel
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

import families_trace
from families_tokenizers import KINDS

REPOSITORY = Path(__file__).resolve().parents[1]
WIDTH = 32
VOCABULARY = 500
# Tokens at which tokenizer.json of the WordPiece model cuts, and model2vec's configuration.
LIMIT = 24
MODEL2VEC_LIMIT = 12

TEXTS = [
    "",
    "   ",
    "revenue",
    "What was the total revenue in 2019?",
    "The company recorded a termination cost of $1.35 billion, net of tax.",
    "Ünïcödé, 日本語 and 🚀 in  one text",
    "🚀",
    "a [PAD] and a [SEP] inside, a </s> and a <unk>",
    "interest " * 40,
    "日本語 " * 30,
]


def tokenizer_of(kind: str):
    rows = families_trace.training_rows(REPOSITORY)
    texts = [row[column] for row in rows for column in ("positive", "anchor")]
    return KINDS[kind](texts, VOCABULARY).tokenizer


def of_sentence_transformers(folder: Path, kind: str, place: str, normalized: bool, limit: int | None):
    """`embedding.weight` and modules.json, the table in the folder `place`."""
    tokenizer = tokenizer_of(kind)
    if limit is not None:
        tokenizer.enable_truncation(limit)
        tokenizer.enable_padding(length=40)
    table = StaticEmbedding(tokenizer, embedding_weights=torch.randn(tokenizer.get_vocab_size(), WIDTH))
    modules = [("StaticEmbedding", place)] + [("Normalize", "1_Normalize")] * normalized
    (folder / place).mkdir(parents=True)
    table.save(str(folder / place))
    entries = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{name}"}
        for index, (name, path) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(entries))


def of_model2vec(folder: Path, kind: str, dtype: str, folded: bool, **settings):
    """`embeddings`, with `mapping` and `weights` if they are `folded`; modules.json as model2vec writes it."""
    tokenizer = tokenizer_of(kind)
    size = tokenizer.get_vocab_size()
    generator = np.random.default_rng(3)
    rows = size // 3 if folded else size
    vectors = generator.normal(size=(rows, WIDTH))
    vectors = np.rint(40 * vectors).clip(-127, 127) if dtype == "int8" else vectors
    model = StaticModel(
        vectors.astype(dtype),
        tokenizer,
        weights=generator.uniform(0.1, 1.0, size) if folded else None,
        token_mapping=generator.integers(0, rows, size) if folded else None,
        **settings,
    )
    model.save_pretrained(folder)
    (folder / "README.md").unlink()


def golden(folder: Path, library: str):
    """Embeds TEXTS with the library whose rules count for such a folder."""
    path = str(folder / "model")
    if library == "model2vec":
        vectors = StaticModel.from_pretrained(path, force_download=False).encode(TEXTS)
    else:
        vectors = SentenceTransformer(path, device="cpu").encode(TEXTS)
    save_file({"embeddings": torch.tensor(np.asarray(vectors, dtype=np.float32))}, folder / "golden.safetensors")
    about = {"texts": TEXTS, "library": library, "version": sentence_transformers.__version__}
    (folder / "golden.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def make(folder: Path, write, *arguments, library="sentence-transformers", traced=False, **settings):
    print(folder.name)
    torch.manual_seed(7)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write(folder / "model", *arguments, **settings)
    if library == "model2vec":
        (folder / "model/modules.json").unlink()
    golden(folder, library)
    if traced:
        families_trace.record(REPOSITORY, folder)


def main():
    torch.set_num_threads(1)
    target = Path(sys.argv[1])
    make(target / "root", of_sentence_transformers, "wordpiece", "", True, LIMIT, traced=True)
    make(target / "subfolder", of_sentence_transformers, "unigram", "0_StaticEmbedding", False, None)
    make(target / "folded", of_model2vec, "wordpiece", "int8", True, normalize=True, max_length=MODEL2VEC_LIMIT)
    # As the folder before, without modules.json: read as model2vec reads it.
    settings = {"library": "model2vec", "max_length": MODEL2VEC_LIMIT}
    make(target / "model2vec", of_model2vec, "wordpiece", "int8", True, normalize=True, **settings)
    make(target / "model2vec-unigram", of_model2vec, "unigram", "float32", False, normalize=False, **settings)


if __name__ == "__main__":
    main()
