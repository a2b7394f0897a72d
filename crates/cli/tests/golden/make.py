"""Golden values of the command's tests, by sentence-transformers 5.7.0 on crates/testkit/models/tiny-bert.

usage (from the root of the repository): python crates/cli/tests/golden/make.py
"""

import json
import pathlib

from sentence_transformers import SentenceTransformer, quantize_embeddings
from sentence_transformers.evaluation import InformationRetrievalEvaluator

HERE = pathlib.Path(__file__).parent
TEXTS = ["What is goodwill?", "Goodwill is the excess of the price paid over net assets.", "It rained.", ""]
PROMPT = "query: "
DIMS = [32, 8]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def evaluate(model):
    """The 49 questions over 245 passages of examples/finance/reference."""
    folder = pathlib.Path("examples/finance/reference/eval")
    corpus = {row["_id"]: row["text"] for row in lines(folder / "corpus.jsonl")}
    queries = {row["_id"]: row["text"] for row in lines(folder / "queries.jsonl")}
    relevant = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, _ = line.split("\t")
        relevant.setdefault(query, set()).add(document)
    metrics = {}
    for dim in DIMS:
        evaluator = InformationRetrievalEvaluator(queries, corpus, relevant, truncate_dim=dim, write_csv=False)
        metrics[f"dim_{dim}"] = evaluator(model)
    return metrics


model = SentenceTransformer("crates/testkit/models/tiny-bert", device="cpu")
vectors = model.encode(TEXTS)
golden = {
    "texts": TEXTS,
    "embeddings": vectors.tolist(),
    "truncated_normalized": model.encode(TEXTS, truncate_dim=8, normalize_embeddings=True).tolist(),
    "prompt": PROMPT,
    "prompted": model.encode(TEXTS, prompt=PROMPT).tolist(),
    "cut_to_4_tokens": None,
    "int8": quantize_embeddings(vectors, "int8").tolist(),
    "ubinary": quantize_embeddings(vectors, "ubinary").tolist(),
    "cosine": model.similarity(vectors, vectors).tolist(),
    "eval": evaluate(model),
}
model.max_seq_length = 4
golden["cut_to_4_tokens"] = model.encode(TEXTS).tolist()
(HERE / "tiny_bert.json").write_text(json.dumps(golden), encoding="utf-8")
