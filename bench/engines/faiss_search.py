"""Search with faiss. Needs faiss-cpu and numpy; flags: engines/README.md."""

import faiss
import numpy as np

import search_protocol


def flat(args, vectors):
    index = faiss.IndexFlatIP(args.dim)
    index.add(vectors)
    return lambda query: index.search(query, args.k)[1], vectors.nbytes


def rescored(search, vectors, k, count):
    """The `k` best by their floats of the candidates that `search` finds."""
    def both(query):
        candidates = search(query, count)[0]
        best = np.argsort(-(vectors[candidates] @ query[0]), kind="stable")[:k]
        return candidates[best]
    return both


def scalar(args, vectors):
    """A byte a value between the least and the greatest of its column."""
    index = faiss.IndexScalarQuantizer(args.dim, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors[:100_000])
    index.add(vectors)
    search = lambda query, count: index.search(query, count)[1]
    return rescored(search, vectors, args.k, args.k * args.multiplier), index.codes.size()


def binary(args, vectors):
    index, pack = faiss.IndexBinaryFlat(args.dim), lambda rows: np.packbits(rows > 0, axis=1)
    index.add(pack(vectors))
    search = lambda query, count: index.search(pack(query), count)[1]
    return rescored(search, vectors, args.k, args.k * args.multiplier), index.xb.size()


def hnsw(args, vectors):
    index = faiss.IndexHNSWFlat(args.dim, args.links, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = args.build_effort
    index.add(vectors)

    def search(query, effort):
        index.hnsw.efSearch = effort
        return index.search(query, args.k)[1]
    return search, vectors.nbytes + index.hnsw.neighbors.size() * 4


METHODS = {"flat": flat, "scalar": scalar, "binary": binary, "hnsw": hnsw}


def main():
    args = search_protocol.flags(__doc__, METHODS)
    faiss.omp_set_num_threads(args.threads)
    search_protocol.run(args, METHODS[args.method], {"faiss": faiss.__version__})


main()
