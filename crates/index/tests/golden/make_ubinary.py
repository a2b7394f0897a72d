"""Makes ubinary.safetensors and ubinary.json with upstream's semantic_search_faiss.

Made with sentence-transformers 5.7.0, faiss-cpu 1.15.1 and numpy 2.4.6: python make_ubinary.py
Which of several rows with one distance become candidates is open in faiss, so only cases are kept in which the last candidate is nearer than
the first row that is none.
"""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sentence_transformers.util.quantization import quantize_embeddings, semantic_search_faiss

HERE = Path(__file__).parent
random = np.random.default_rng(5)


def is_clear(distances, count):
    distances = np.sort(distances)
    return count >= len(distances) or distances[count - 1] < distances[count]


def main():
    queries, corpus = (random.standard_normal((count, 64), dtype=np.float32) for count in (20, 90))
    packed = quantize_embeddings(corpus, "ubinary")
    differing = quantize_embeddings(queries, "ubinary")[:, None] ^ packed[None]
    distances = np.unpackbits(differing, axis=-1).sum(axis=-1)
    cases = []
    for k, multiplier in ((1, None), (5, None), (100, None), (3, 2), (5, 4), (3, 3), (100, 2)):
        options = {"rescore": multiplier is not None, "rescore_multiplier": multiplier or 1}
        found, _ = semantic_search_faiss(queries, packed, corpus_precision="ubinary", top_k=k, **options)
        for query, hits in enumerate(found):
            if is_clear(distances[query], k * (multiplier or 1)):
                hits = [[hit["corpus_id"], hit["score"]] for hit in hits]
                cases.append({"query": query, "k": k, "rescore_multiplier": multiplier, "hits": hits})
    kept = {multiplier: sum(case["rescore_multiplier"] == multiplier for case in cases) for multiplier in (None, 2, 3, 4)}
    assert all(count >= 2 for count in kept.values()), kept
    save_file({"queries": queries, "corpus": corpus}, HERE / "ubinary.safetensors")
    (HERE / "ubinary.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


main()
