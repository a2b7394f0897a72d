"""Encoding with an engine that takes a padded batch: tokens, batches of similar lengths, mean pooling, length 1. NumPy and `tokenizers`."""

import json
import pathlib

import numpy
import protocol
import tokenizers


def main(description, open_model, versions):
    """The whole program of an engine; `open_model` makes `run` of `encode` from the flags."""
    args = protocol.encode_flags(description, graphs=pathlib.Path)
    run, tokenizer = open_model(args), open_tokenizer(args)
    report = protocol.measure(args, lambda texts: encode(run, tokenizer, texts, args.batch))
    print(json.dumps(report | {"versions": versions | {"tokenizers": tokenizers.__version__}}))


def open_tokenizer(args):
    tokenizer = tokenizers.Tokenizer.from_file(str(args.model / "tokenizer.json"))
    tokenizer.enable_truncation(args.max_length)
    tokenizer.no_padding()
    return tokenizer


def encode(run, tokenizer, texts, batch):
    """Unit rows in the order of `texts`, and the number of tokens; `run` makes token vectors of ids and mask, both `[texts, tokens]`."""
    tokens = tokenizer.encode_batch(texts)
    order = sorted(range(len(texts)), key=lambda i: -len(tokens[i].ids))
    rows = [None] * len(texts)
    for start in range(0, len(order), batch):
        places = order[start:start + batch]
        for place, row in zip(places, embed(run, [tokens[i].ids for i in places])):
            rows[place] = row
    return numpy.stack(rows), sum(len(one.ids) for one in tokens)


def embed(run, ids):
    """Mean pooling and length 1."""
    width = max(map(len, ids))
    padded = numpy.zeros((len(ids), width), numpy.int64)
    mask = numpy.zeros_like(padded)
    for row, one in enumerate(ids):
        padded[row, :len(one)] = one
        mask[row, :len(one)] = 1
    hidden = run(padded, mask)
    weights = mask[:, :, None].astype(numpy.float32)
    pooled = (hidden * weights).sum(1) / weights.sum(1)
    return pooled / numpy.linalg.norm(pooled, axis=1, keepdims=True)
