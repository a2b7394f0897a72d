"""Encodes with ONNX Runtime, NumPy and `tokenizers` alone; flags and output as engines/README.md says.

Expects f32.onnx and int8.onnx of onnx_export.py in the folder --onnx.
"""

import json
import pathlib

import numpy
import onnxruntime
import protocol
import tokenizers


def open_model(args):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(args.onnx / f"{args.precision}.onnx", options, providers=["CPUExecutionProvider"])
    tokenizer = tokenizers.Tokenizer.from_file(str(args.model / "tokenizer.json"))
    tokenizer.enable_truncation(args.max_length)
    tokenizer.no_padding()
    return session, tokenizer


def encode(session, tokenizer, texts, batch):
    """Unit rows in the order of `texts`, and the number of tokens; batches of similar lengths, padded."""
    tokens = tokenizer.encode_batch(texts)
    order = sorted(range(len(texts)), key=lambda i: -len(tokens[i].ids))
    rows = [None] * len(texts)
    for start in range(0, len(order), batch):
        places = order[start:start + batch]
        for place, row in zip(places, embed(session, [tokens[i].ids for i in places])):
            rows[place] = row
    return numpy.stack(rows), sum(len(one.ids) for one in tokens)


def embed(session, ids):
    """Mean pooling and length 1."""
    width = max(map(len, ids))
    padded = numpy.zeros((len(ids), width), numpy.int64)
    mask = numpy.zeros_like(padded)
    for row, one in enumerate(ids):
        padded[row, :len(one)] = one
        mask[row, :len(one)] = 1
    inputs = {"input_ids": padded, "attention_mask": mask, "token_type_ids": numpy.zeros_like(padded)}
    hidden = session.run(None, inputs)[0]
    weights = mask[:, :, None].astype(numpy.float32)
    pooled = (hidden * weights).sum(1) / weights.sum(1)
    return pooled / numpy.linalg.norm(pooled, axis=1, keepdims=True)


def main():
    args = protocol.encode_flags(__doc__, onnx=pathlib.Path)
    session, tokenizer = open_model(args)
    versions = {"onnxruntime": onnxruntime.__version__, "tokenizers": tokenizers.__version__}
    report = protocol.measure(args, lambda texts: encode(session, tokenizer, texts, args.batch))
    print(json.dumps(report | {"versions": versions}))


main()
