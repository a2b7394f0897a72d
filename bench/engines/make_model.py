"""Writes a base-sized model with random weights (seed 0) as a sentence-transformers folder: mean pooling, unit vectors.

usage: make_model.py TOKENIZER_FOLDER TARGET_FOLDER FAMILY [LAYERS]

Shapes are those of the base-sized model that each family is known for, the embeddings with all their rows. The tokenizer is the given
one for every family, so that a text has as many tokens for each.
"""

import sys
import tempfile

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Pooling, Transformer
from transformers import AutoTokenizer

ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}

# Class of transformers, and what differs from its defaults; `length` is the most tokens of a text, 512 where it is not there.
FAMILIES = {
    "bert": ("Bert", {}),
    "modernbert": ("ModernBert", {"length": 8192}),
    "xlm-roberta": ("XLMRoberta", {"vocab_size": 250002, **ROBERTA}),
    "roberta": ("Roberta", {"vocab_size": 50265, **ROBERTA}),
    "mpnet": ("MPNet", {"vocab_size": 30527, "max_position_embeddings": 514, "layer_norm_eps": 1e-5}),
    "distilbert": ("DistilBert", {}),
    "electra": ("Electra", {
        "embedding_size": 768, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072,
    }),
    "albert": ("Albert", {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072}),
    "ernie": ("Ernie", {"use_task_id": True}),
    "t5": ("T5", {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12}),
    "deberta-v2": ("DebertaV2", {
        "vocab_size": 128100, "hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 12, "intermediate_size": 3072,
        "relative_attention": True, "max_relative_positions": -1, "position_buckets": 256, "norm_rel_ebd": "layer_norm",
        "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "type_vocab_size": 0,
    }),
}


def make(family, tokenizer, layers):
    """The model and the most tokens of a text."""
    name, settings = FAMILIES[family]
    settings = dict(settings)
    length = settings.pop("length", 512)
    ids = {
        "pad_token_id": tokenizer.pad_token_id, "cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id,
        "bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id,
    }
    if layers:
        settings["num_hidden_layers"] = int(layers)
    config = getattr(transformers, f"{name}Config")(**ids, **settings)
    kind = transformers.T5EncoderModel if family == "t5" else getattr(transformers, f"{name}Model")
    return kind(config), length


def main():
    tokenizer_folder, target, family, *layers = sys.argv[1:]
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    model, length = make(family, tokenizer, *(layers or [None]))
    tokenizer.model_max_length = length
    with tempfile.TemporaryDirectory() as plain:
        model.save_pretrained(plain)
        tokenizer.save_pretrained(plain)
        transformer = Transformer(plain, max_seq_length=length)
        modules = [transformer, Pooling(768, pooling_mode="mean"), Normalize()]
        SentenceTransformer(modules=modules, device="cpu").save(target)


main()
