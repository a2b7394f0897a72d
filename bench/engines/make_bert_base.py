"""Writes a BERT-base of some layers with random weights (seed 0) as a sentence-transformers folder.

usage: make_bert_base.py TOKENIZER_FOLDER TARGET_FOLDER LAYERS
"""

import sys
import tempfile

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Pooling, Transformer
from transformers import AutoTokenizer, BertConfig, BertModel

tokenizer_folder, target, layers = sys.argv[1:]
torch.manual_seed(0)
with tempfile.TemporaryDirectory() as plain:
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    BertModel(BertConfig(vocab_size=len(tokenizer), num_hidden_layers=int(layers))).save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    transformer = Transformer(plain, max_seq_length=512)
    SentenceTransformer(modules=[transformer, Pooling(768, pooling_mode="mean"), Normalize()], device="cpu").save(target)
