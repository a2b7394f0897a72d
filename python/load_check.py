"""Loads a model folder written by matryo in sentence-transformers and compares its vectors with matryo's own.

usage: load_check.py MATRYO MODEL_FOLDER TEXTS.jsonl     (texts in the field `text`)

Prints the versions, the smallest cosine and the largest difference; exits with 1 if a cosine is below 0.99999.
"""

import json
import subprocess
import sys
import tempfile

import numpy
import sentence_transformers
import torch
import transformers
from sentence_transformers import SentenceTransformer


def matryo_vectors(matryo, folder, source):
    with tempfile.TemporaryDirectory() as scratch:
        target = f"{scratch}/vectors.npy"
        subprocess.run([matryo, "encode", folder, "--input", source, "--column", "text", "--output", target, "--quiet"], check=True)
        return numpy.load(target)


def main():
    matryo, folder, source = sys.argv[1:]
    with open(source, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    ours = matryo_vectors(matryo, folder, source)
    theirs = SentenceTransformer(folder, device="cpu").encode(texts)
    cosine = (ours * theirs).sum(1) / numpy.linalg.norm(ours, axis=1) / numpy.linalg.norm(theirs, axis=1)
    print(f"sentence-transformers {sentence_transformers.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")
    print(f"{len(texts)} texts, smallest cosine {cosine.min():.8f}, largest difference {numpy.abs(ours - theirs).max():.2e}")
    sys.exit(int(cosine.min() < 0.99999))


if __name__ == "__main__":
    main()
