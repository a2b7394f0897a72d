"""Makes the golden values of crates/mining: pairs, communities and clusters of some sentence embeddings.

usage: goldens_mining.py EMBEDDINGS.safetensors [TENSOR]

EMBEDDINGS holds the matrix TENSOR (default `corpus`) of vectors of short texts, some of them the same; here all-MiniLM-L6-v2's of the first
400 texts of banking77 and two of them again. Its first 64 columns are kept, so that the files stay small.
Made with sentence-transformers 5.7.0, torch 2.15.0 and scikit-learn 1.9.1 on a CPU.
"""

import json
import sys
from pathlib import Path

import numpy
import torch
from safetensors.numpy import load_file, save_file
from sentence_transformers import util
from sklearn.cluster import AgglomerativeClustering, KMeans

OUTPUT = Path(__file__).parent.parent / "crates/mining/tests/golden"
COLUMNS = 64
# Rows that are clustered by scikit-learn.
CLUSTERED = 200


def paraphrases(embeddings):
    cases = [
        dict(top_k=10, max_pairs=300, query_chunk_size=64, corpus_chunk_size=128),
        dict(top_k=3, max_pairs=500_000, query_chunk_size=5000, corpus_chunk_size=100_000),
        dict(top_k=100, max_pairs=50, query_chunk_size=402, corpus_chunk_size=37),
        dict(top_k=5, max_pairs=1, query_chunk_size=100, corpus_chunk_size=100),
    ]
    mine = lambda case: util.paraphrase_mining_embeddings(torch.tensor(embeddings), **case)
    return [case | {"pairs": mine(case)} for case in cases]


def communities(embeddings):
    cases = [(0.75, 3), (0.6, 5), (0.85, 2), (0.9, 10), (0.3, 500)]
    detect = lambda t, n: util.community_detection(torch.tensor(embeddings), threshold=t, min_community_size=n)
    return [{"threshold": t, "min_community_size": n, "communities": detect(t, n)} for t, n in cases]


def agglomerative(unit):
    cases = []
    for linkage in ("average", "complete", "single"):
        cuts = [{"n_clusters": n} for n in (1, 5, 20, CLUSTERED)] + [{"distance_threshold": t} for t in (0.15, 0.3, 0.5)]
        for cut in cuts:
            model = AgglomerativeClustering(**({"n_clusters": None} | cut), metric="cosine", linkage=linkage)
            cases.append({"linkage": linkage, **cut, "labels": model.fit_predict(unit).tolist()})
    return cases


def kmeans(unit):
    cases = []
    for first in ([0, 40, 80, 120, 160], list(range(0, 200, 10)), [3, 4, 5]):
        for tol in (0.0, 1e-4):
            model = KMeans(len(first), init=unit[first], n_init=1, max_iter=300, tol=tol, algorithm="lloyd").fit(unit)
            labels, inertia = model.labels_.tolist(), float(model.inertia_)
            cases.append({"first": first, "tol": tol, "labels": labels, "inertia": inertia, "n_iter": int(model.n_iter_)})
    return cases


def spherical(unit, first):
    """Spherical k-means in a few lines of float64: centres are scaled to length 1."""
    x, labels, iterations = unit.astype(numpy.float64), None, 0
    centres = x[first]
    while True:
        iterations += 1
        last, labels = labels, (x @ centres.T).argmax(1)
        centres = numpy.stack([x[labels == c].sum(0) for c in range(len(first))])
        centres /= numpy.linalg.norm(centres, axis=1, keepdims=True)
        if last is not None and (last == labels).all():
            inertia = float(((x - centres[labels]) ** 2).sum())
            return {"first": first, "labels": labels.tolist(), "inertia": inertia, "n_iter": iterations}


def main():
    tensor = sys.argv[2] if len(sys.argv) > 2 else "corpus"
    embeddings = numpy.ascontiguousarray(load_file(sys.argv[1])[tensor][:, :COLUMNS])
    unit = embeddings[:CLUSTERED] / numpy.linalg.norm(embeddings[:CLUSTERED], axis=1, keepdims=True)
    golden = {
        "paraphrase_mining": paraphrases(embeddings),
        "community_detection": communities(embeddings),
        "agglomerative": agglomerative(unit),
        "kmeans": kmeans(unit),
        "spherical_kmeans": [spherical(unit, [0, 40, 80, 120, 160]), spherical(unit, list(range(0, 200, 10)))],
    }
    save_file({"embeddings": embeddings}, OUTPUT / "mining.safetensors")
    (OUTPUT / "mining.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


main()
