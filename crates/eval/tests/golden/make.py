"""Makes retrieval.safetensors, retrieval.json and the CSV and JSONL files beside them with upstream's evaluator.

Made with sentence-transformers 5.7.0 and torch 2.15.0 on CPU: python make.py
The model is a stub that returns the given rows. `plain` holds random numbers. `ties` holds small whole numbers, whose dot products
are exact and often equal; there torch.topk, which leaves the order of equal scores open, is replaced by one that offers every row
in the order of the corpus.
"""

import json
import random
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from sentence_transformers import util
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator, SequentialEvaluator

HERE = Path(__file__).parent
generator = torch.Generator().manual_seed(11)
random.seed(11)
SIMILARITIES = {
    "cosine": util.cos_sim,
    "dot": util.dot_score,
    "euclidean": util.euclidean_sim,
    "manhattan": util.manhattan_sim,
}


class CardData:
    def set_evaluation_metrics(self, *_):
        pass


class Stub:
    model_card_data = CardData()

    def __init__(self, rows):
        self.rows = rows

    def encode_query(self, texts, truncate_dim=None, **_):
        return torch.stack([self.rows[text] for text in texts])[:, :truncate_dim]

    encode_document = encode_query


def everything_in_order(scores, k, **_):
    return scores, torch.arange(scores.shape[1]).expand(scores.shape)


def ids(prefix, count):
    """Ids whose order as strings is not that of the rows."""
    return [f"{prefix}{(i * 37) % count}" for i in range(count)]


def data(queries, documents, relevant_of):
    queries, documents = ids("q", queries), ids("d", documents)
    relevant = {q: sorted(random.sample(documents, relevant_of(i))) for i, q in enumerate(queries)}
    relevant[queries[4]] = relevant[queries[4]] + ["not in the corpus"]
    del relevant[queries[2]]
    relevant[queries[5]] = []
    return {"queries": queries, "corpus": documents, "relevant": relevant}


def evaluator(data, **options):
    functions = {name: SIMILARITIES[name] for name in options.pop("score_functions")}
    return InformationRetrievalEvaluator(
        {q: "text of " + q for q in data["queries"]},
        {d: "text of " + d for d in data["corpus"]},
        {q: set(r) for q, r in data["relevant"].items()},
        score_functions=functions,
        **options,
    )


def stub(data, queries, corpus):
    named = zip(data["queries"] + data["corpus"], torch.cat([queries, corpus]))
    return Stub({"text of " + name: row for name, row in named})


def floats(metrics):
    return {key: float(value) for key, value in metrics.items()}


def main():
    tensors = {
        "plain.queries": torch.randn(23, 8, generator=generator),
        "plain.corpus": torch.randn(41, 8, generator=generator),
        "ties.queries": torch.randint(-2, 3, (150, 4), generator=generator).float(),
        "ties.corpus": torch.randint(-2, 3, (157, 4), generator=generator).float(),
    }
    plain = data(23, 41, lambda i: 1 + i % 4)
    ties = data(150, 157, lambda i: 1 + i % 13)
    model = stub(plain, tensors["plain.queries"], tensors["plain.corpus"])
    cases = []

    with tempfile.TemporaryDirectory() as out:
        dims = [8, 4, 2]
        evaluators = [evaluator(plain, name=f"dim_{d}", truncate_dim=d, score_functions=["cosine"]) for d in dims]
        sequential = SequentialEvaluator(evaluators)
        metrics = [floats(sequential(model, out, epoch, steps)) for epoch, steps in ((1.0, 7), (1.5714285714285714, 11))]
        cases.append({"data": "plain", "dims": dims, "score_functions": ["cosine"], "metrics": metrics[0],
                      "primary": [e.primary_metric for e in evaluators]})
        name = "Information-Retrieval_evaluation_dim_4_results.csv"
        (HERE / name).write_text((Path(out) / name).read_text())

    with tempfile.TemporaryDirectory() as out:
        functions = ["manhattan", "dot", "cosine", "euclidean"]
        every = evaluator(plain, score_functions=functions, write_predictions=True, accuracy_at_k=[2, 50],
                          precision_recall_at_k=[4, 1], ndcg_at_k=[10, 3], mrr_at_k=[5], map_at_k=[7, 100])
        cases.append({"data": "plain", "dims": None, "score_functions": functions, "accuracy_at_k": [2, 50],
                      "precision_recall_at_k": [4, 1], "ndcg_at_k": [10, 3], "mrr_at_k": [5], "map_at_k": [7, 100],
                      "metrics": floats(every(model, out, 2.0, 3)), "primary": [every.primary_metric]})
        for name in ("results.csv", "predictions_cosine.jsonl"):
            name = "Information-Retrieval_evaluation_" + name
            (HERE / name).write_text((Path(out) / name).read_text())

    model = stub(ties, tensors["ties.queries"], tensors["ties.corpus"])
    topk, torch.topk = torch.topk, everything_in_order
    for chunk in (50000, 30):
        several = evaluator(ties, score_functions=["dot"], corpus_chunk_size=chunk)
        cases.append({"data": "ties", "dims": None, "score_functions": ["dot"], "corpus_chunk_size": chunk,
                      "metrics": floats(several(model)), "primary": [several.primary_metric]})
    torch.topk = topk

    save_file(tensors, HERE / "retrieval.safetensors")
    text = json.dumps({"plain": plain, "ties": ties, "cases": cases}, separators=(",", ":"))
    (HERE / "retrieval.json").write_text(text + "\n")
    print("torch.topk itself:", {k: v - cases[-1]["metrics"][k] for k, v in floats(evaluator(ties, score_functions=["dot"])(model)).items() if v != cases[-1]["metrics"][k]})


main()
