"""Writes a base-sized model with random weights (seed 0) as a sentence-transformers folder: mean pooling, unit vectors.

usage: make_model.py TOKENIZER_FOLDER TARGET_FOLDER FAMILY [LAYERS]     FAMILY: bert, modernbert or xlm-roberta

Shapes are those of bert-base-uncased, ModernBERT-base and xlm-roberta-base, the embeddings of the last two with all their rows. The
tokenizer is the given one for every family, so that a text has as many tokens for each.
"""

import sys
import tempfile

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Pooling, Transformer
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    ModernBertConfig,
    ModernBertModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)


def bert(tokenizer, sizes):
    return BertModel(BertConfig(vocab_size=len(tokenizer), **sizes))


def modernbert(tokenizer, sizes):
    special = {
        "pad_token_id": tokenizer.pad_token_id, "cls_token_id": tokenizer.cls_token_id,
        "sep_token_id": tokenizer.sep_token_id, "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
    }
    return ModernBertModel(ModernBertConfig(**special, **sizes))


def xlm_roberta(tokenizer, sizes):
    shape = {"vocab_size": 250002, "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
    return XLMRobertaModel(XLMRobertaConfig(pad_token_id=tokenizer.pad_token_id, **shape, **sizes))


# The model, and the most tokens of a text.
FAMILIES = {"bert": (bert, 512), "modernbert": (modernbert, 8192), "xlm-roberta": (xlm_roberta, 512)}


def main():
    tokenizer_folder, target, family, *layers = sys.argv[1:]
    make, length = FAMILIES[family]
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    tokenizer.model_max_length = length
    with tempfile.TemporaryDirectory() as plain:
        make(tokenizer, {"num_hidden_layers": int(layers[0])} if layers else {}).save_pretrained(plain)
        tokenizer.save_pretrained(plain)
        transformer = Transformer(plain, max_seq_length=length)
        modules = [transformer, Pooling(768, pooling_mode="mean"), Normalize()]
        SentenceTransformer(modules=modules, device="cpu").save(target)


main()
