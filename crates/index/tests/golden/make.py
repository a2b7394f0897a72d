"""Makes search.safetensors and search.json with upstream's semantic_search.

Made with sentence-transformers 5.7.0 and torch 2.15.0 on CPU: python make.py
`ties` holds small whole numbers, whose dot products are exact and often equal. There torch.topk, which leaves the order of
equal scores open, is replaced by one that offers every row in the order of the corpus.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from sentence_transformers import util

HERE = Path(__file__).parent
generator = torch.Generator().manual_seed(5)


def everything_in_order(scores, k, **_):
    return scores, torch.arange(scores.shape[1]).expand(scores.shape)


def hits(queries, corpus, **options):
    found = util.semantic_search(queries, corpus, **options)
    return [[[hit["corpus_id"], hit["score"]] for hit in query] for query in found]


def main():
    tensors = {
        "plain.queries": torch.randn(7, 16, generator=generator),
        "plain.corpus": torch.randn(60, 16, generator=generator),
        "ties.queries": torch.randint(-2, 3, (9, 6), generator=generator).float(),
        "ties.corpus": torch.randint(-2, 3, (60, 6), generator=generator).float(),
    }
    plain = tensors["plain.queries"], tensors["plain.corpus"]
    cases = [
        {"data": "plain", "score": "cosine", "k": 5, "hits": hits(*plain, top_k=5)},
        {"data": "plain", "score": "dot", "k": 10, "hits": hits(*plain, top_k=10, score_function=util.dot_score)},
        {"data": "plain", "score": "cosine", "k": 100, "hits": hits(*plain, top_k=100)},
    ]
    ties = tensors["ties.queries"], tensors["ties.corpus"]
    topk, torch.topk = torch.topk, everything_in_order
    for k in (1, 7, 10, 31, 100):
        found = hits(*ties, top_k=k, score_function=util.dot_score)
        assert found == hits(*ties, top_k=k, score_function=util.dot_score, corpus_chunk_size=11)
        cases.append({"data": "ties", "score": "dot", "k": k, "hits": found})
    torch.topk = topk
    save_file(tensors, HERE / "search.safetensors")
    (HERE / "search.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


main()
