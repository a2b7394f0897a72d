"""The engines of search.py, as data: who, with which flags. Standard library only."""

import pathlib

ENGINES_FOLDER = pathlib.Path(__file__).parent / "engines"
HANNOY = ENGINES_FOLDER / "hannoy" / "target" / "release" / "hannoy-bench"

EXACT = "matryo-float32"

# links a node and effort of building and searching are those of one graph for all: 32 links in the lowest layer
GRAPH = {"method": "hnsw", "links": 16, "build-effort": 100, "efforts": "32,64,128,256,512"}

ENGINES = {
    EXACT: ("matryo", {"method": "flat"}),
    "matryo-int8-x2": ("matryo", {"method": "flat", "storage": "int8", "multiplier": 2}),
    "matryo-int8": ("matryo", {"method": "flat", "storage": "int8"}),
    "matryo-ubinary-x20": ("matryo", {"method": "flat", "storage": "ubinary", "multiplier": 20}),
    "matryo-ubinary-x50": ("matryo", {"method": "flat", "storage": "ubinary", "multiplier": 50}),
    "matryo-funnel-float32-64": ("matryo", {"method": "funnel", "stages": "64:200,256:50,384:10"}),
    "matryo-funnel-float32-128": ("matryo", {"method": "funnel", "stages": "128:400,256:50,384:10"}),
    "matryo-funnel-int8-64": ("matryo", {"method": "funnel", "storage": "int8", "stages": "64:200,256:50,384:10"}),
    "matryo-funnel-int8-128": ("matryo", {"method": "funnel", "storage": "int8", "stages": "128:400,256:50,384:10"}),
    "matryo-funnel-int8-128-wide": ("matryo", {"method": "funnel", "storage": "int8", "stages": "128:1000,384:10"}),
    "matryo-funnel-ubinary": ("matryo", {"method": "funnel", "storage": "ubinary", "stages": "384:500,384:10"}),
    "faiss-flat": ("faiss", {"method": "flat"}),
    "faiss-scalar-x2": ("faiss", {"method": "scalar", "multiplier": 2}),
    "faiss-binary-x50": ("faiss", {"method": "binary", "multiplier": 50}),
    "usearch-exact": ("usearch", {"method": "exact"}),
} | {f"{library}-hnsw": (library, GRAPH) for library in ("faiss", "usearch", "hannoy")} | {
    # its graph has twice 16 links in the lowest layer too, by the engine's defaults
    "matryo-collection-hnsw": ("collection", {"efforts": GRAPH["efforts"]}),
}


def max_runs(engine, runs):
    """Graphs take minutes to build: once."""
    return 1 if engine.endswith("hnsw") else runs


def command(engine, shared, args):
    library, own = ENGINES[engine]
    programs = {
        "matryo": [args.searcher],
        "collection": [args.collection, "--model", args.model, "--folder", shared["hits"].with_suffix(".collection")],
        "faiss": [args.python, ENGINES_FOLDER / "faiss_search.py"],
        "usearch": [args.python, ENGINES_FOLDER / "usearch_search.py"],
        "hannoy": [HANNOY],
    }
    flags = shared | own
    if library in ("faiss", "usearch"):
        flags["threads"] = args.threads
    return programs[library] + [part for name, value in flags.items() for part in (f"--{name}", value)]
