"""Makes similarity.json and similarity.safetensors with upstream's EmbeddingSimilarityEvaluator.

Made with sentence-transformers 5.7.0, scipy 1.17.1 and torch 2.15.0 on CPU: python make_similarity.py
The model is a stub that returns the given rows; scores are whole numbers from 0 to 5, so that many are equal.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator

HERE = Path(__file__).parent
generator = torch.Generator().manual_seed(23)
PAIRS, WIDTH = 60, 12


class CardData:
    def set_evaluation_metrics(self, *_):
        pass


class Stub:
    model_card_data = CardData()
    similarity_fn_name = "cosine"

    def __init__(self, rows):
        self.rows = rows

    def encode(self, texts, truncate_dim=None, **_):
        return torch.stack([self.rows[text] for text in texts])[:, :truncate_dim].numpy()


def main():
    first = torch.randn(PAIRS, WIDTH, generator=generator)
    noise = torch.randn(PAIRS, WIDTH, generator=generator)
    scores = torch.randint(0, 6, (PAIRS,), generator=generator).float()
    second = (scores[:, None] * first + 3 * noise) / 4
    rows = {f"a{i}": row for i, row in enumerate(first)} | {f"b{i}": row for i, row in enumerate(second)}
    sentences = [[f"{side}{i}" for i in range(PAIRS)] for side in "ab"]
    cases = []
    for options in (
        {},
        {"similarity_fn_names": ["cosine", "euclidean", "manhattan", "dot"], "name": "sts"},
        {"similarity_fn_names": ["dot", "euclidean"], "main_similarity": "euclidean"},
        {"main_similarity": "manhattan", "truncate_dim": 5},
    ):
        evaluator = EmbeddingSimilarityEvaluator(*sentences, scores.tolist(), write_csv=False, **options)
        metrics = {key: float(value) for key, value in evaluator(Stub(rows)).items()}
        cases.append({**options, "metrics": metrics, "primary": evaluator.primary_metric})
    save_file({"first": first, "second": second.contiguous(), "scores": scores}, HERE / "similarity.safetensors")
    (HERE / "similarity.json").write_text(json.dumps(cases, indent=1) + "\n")


main()
