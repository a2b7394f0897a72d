"""Makes losses.json and the gradients in losses.safetensors from the inputs `in.*` and labels `label.*` there.

Made with sentence-transformers 5.7.0 and torch 2.15.0 on CPU: python make.py
The model is a stub that returns the given tensors as its embeddings.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import util
from sentence_transformers.sentence_transformer import losses

HERE = Path(__file__).parent
MNRL, MATRYOSHKA, COSINE = "MultipleNegativesRankingLoss", "MatryoshkaLoss", "CosineSimilarityLoss"


class Stub(torch.nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, features):
        return dict(features)

    def get_embedding_dimension(self):
        return self.dim


def mnrl(scale=20.0, similarity_fct="cos_sim"):
    return {"scale": scale, "similarity_fct": similarity_fct}


def matryoshka(inner, dims, **rest):
    return {"loss": {MNRL: inner}, "matryoshka_dims": dims, **rest}


CASES = [
    ("mnrl_2col", MNRL, {}, "ap"),
    ("mnrl_3col", MNRL, {}, "apn"),
    ("mnrl_4col", MNRL, {}, "apnm"),
    ("mnrl_2col_scale50", MNRL, mnrl(scale=50.0), "ap"),
    ("mnrl_2col_dot_scale1", MNRL, mnrl(1.0, "dot_score"), "ap"),
    ("mnrl_one_pair", MNRL, {}, "ap1"),
    ("mnrl_one_triplet", MNRL, mnrl(scale=1.0), "apn1"),
    ("matryoshka_mnrl_2col", MATRYOSHKA, matryoshka({}, [48, 32, 16, 8]), "ap"),
    (
        "matryoshka_mnrl_3col_weights",
        MATRYOSHKA,
        matryoshka({}, [48, 32, 16, 8], matryoshka_weights=[1, 0.5, 0.25, 2]),
        "apn",
    ),
    (
        "matryoshka_unsorted_dims",
        MATRYOSHKA,
        matryoshka({}, [8, 48, 16], matryoshka_weights=[3, 1, 2]),
        "ap",
    ),
    ("matryoshka_dot", MATRYOSHKA, matryoshka(mnrl(5.0, "dot_score"), [48, 16]), "ap"),
    ("cosine_similarity", COSINE, {}, "ap"),
    ("cosine_similarity_one_pair", COSINE, {}, "ap1"),
    ("matryoshka_cosine_similarity", MATRYOSHKA, {"loss": {COSINE: {}}, "matryoshka_dims": [48, 16]}, "ap"),
]
# Labels by the loss that needs them.
LABELS = {COSINE: "score"}


def build(model, name, parameters):
    parameters = dict(parameters)
    if name == MATRYOSHKA:
        ((inner, inner_parameters),) = parameters.pop("loss").items()
        return losses.MatryoshkaLoss(model, build(model, inner, inner_parameters), **parameters)
    if "similarity_fct" in parameters:
        parameters["similarity_fct"] = getattr(util, parameters["similarity_fct"])
    if name == COSINE:
        return losses.CosineSimilarityLoss(model, **parameters)
    return losses.MultipleNegativesRankingLoss(model, **parameters)


def main():
    tensors = {k: v for k, v in load_file(HERE / "losses.safetensors").items() if k.startswith(("in.", "label."))}
    # Similarities as they are annotated, 0 and 1 among them.
    tensors.setdefault("label.score", torch.tensor([0.0, 1.0, 0.25, 0.6, 1.0, 0.0, 0.8, 0.44, 0.1, 0.95, 0.5, 0.32]))
    cases = []
    for case, name, parameters, columns in CASES:
        rows = 1 if columns.endswith("1") else 12
        columns = [{"m": "n2"}.get(c, c) for c in columns.rstrip("1")]
        inputs = [tensors[f"in.{c}"][:rows].clone().requires_grad_() for c in columns]
        loss = build(Stub(48), name, parameters)
        label = LABELS.get(next(iter(parameters["loss"])) if name == MATRYOSHKA else name)
        labels = tensors[f"label.{label}"][:rows] if label else None
        value = loss([{"sentence_embedding": x} for x in inputs], labels)
        value.backward()
        for column, x in zip(columns, inputs):
            tensors[f"{case}.grad.{column}"] = x.grad
        config = loss.get_config_dict()
        if "similarity_fct" in config:
            config["similarity_fct"] = config["similarity_fct"].__name__ if callable(config["similarity_fct"]) else config["similarity_fct"]
        cases.append(
            {"case": case, "loss": name, "parameters": parameters, "columns": columns, "label": label, "rows": rows,
             "value": value.item(), "config": config}
        )
    save_file(tensors, HERE / "losses.safetensors")
    (HERE / "losses.json").write_text(json.dumps(cases, indent=1) + "\n")


main()
