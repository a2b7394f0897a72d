"""Encodes the `text` column of a JSONL file with sentence-transformers and prints {"seconds", "texts", "versions"}.

usage: st_encode.py MODEL INPUT.jsonl OUTPUT.npy THREADS
"""

import json
import sys
import time

import numpy
import sentence_transformers
import torch
from sentence_transformers import SentenceTransformer

model_folder, source, target, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
with open(source, encoding="utf-8") as lines:
    texts = [json.loads(line)["text"] for line in lines]
model = SentenceTransformer(model_folder, device="cpu")
start = time.perf_counter()
embeddings = model.encode(texts, batch_size=32)
seconds = time.perf_counter() - start
numpy.save(target, embeddings)
versions = {"sentence-transformers": sentence_transformers.__version__, "torch": torch.__version__}
print(json.dumps({"seconds": seconds, "texts": len(texts), "versions": versions}))
