"""Search with usearch. Needs usearch and numpy; flags: engines/README.md."""

import numpy as np
import usearch
from usearch.index import Index, MetricKind, search

import search_protocol


def exact(args, vectors):
    find = lambda query: search(vectors, query, args.k, MetricKind.IP, exact=True, threads=args.threads).keys
    return find, vectors.nbytes


def hnsw(args, vectors):
    index = Index(ndim=args.dim, metric="ip", dtype="f32", connectivity=args.links, expansion_add=args.build_effort)
    index.add(np.arange(len(vectors)), vectors, threads=args.threads)

    def find(query, effort):
        index.expansion_search = effort
        return index.search(query, args.k, threads=args.threads).keys
    return find, index.memory_usage


METHODS = {"exact": exact, "hnsw": hnsw}


def main():
    args = search_protocol.flags(__doc__, METHODS)
    search_protocol.run(args, METHODS[args.method], {"usearch": usearch.__version__})


main()
