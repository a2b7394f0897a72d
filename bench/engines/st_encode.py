"""Encodes with sentence-transformers in f32 or bf16; flags and output as engines/README.md says."""

import json

import protocol
import sentence_transformers
import torch
from sentence_transformers import SentenceTransformer

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def encode(model, texts, batch):
    rows = model.encode(texts, batch_size=batch, show_progress_bar=False)
    return rows, None


def count(model, texts):
    ids = model.tokenizer(texts, truncation=True, max_length=model.max_seq_length)["input_ids"]
    return sum(map(len, ids))


def main():
    args = protocol.encode_flags(__doc__)
    torch.set_num_threads(args.threads)
    model = SentenceTransformer(str(args.model), device="cpu", model_kwargs={"dtype": TYPES[args.precision]})
    model.max_seq_length = args.max_length
    report = protocol.measure(args, lambda texts: encode(model, texts, args.batch))
    # Outside the measured time: the library does not tell how many tokens it saw.
    if args.mode == "throughput":
        report["tokens"] = count(model, args.texts.read_text(encoding="utf-8").splitlines())
    versions = {"sentence-transformers": sentence_transformers.__version__, "torch": torch.__version__}
    print(json.dumps(report | {"versions": versions}))


main()
