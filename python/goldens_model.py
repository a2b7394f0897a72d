"""Makes the golden values of crates/model: hidden states, embeddings, gradients and similarities of the tiny model.

usage: goldens_model.py TINY_BERT_FOLDER OUTPUT_FOLDER
Made with sentence-transformers 5.7.0, transformers 5.23.0, torch 2.15 on a CPU.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer, util
from sentence_transformers.models import Dense, Normalize, Pooling
from transformers.activations import ACT2FN

# Ragged, from nothing to longer than the rest together; `[PAD]` and `[MASK]` are tokens when a text spells them out.
TEXTS = [
    "",
    "revenue",
    "What was the total revenue in 2019?",
    "The company recorded an acquisition termination cost of $1.35 billion, net of tax.",
    "Ünïcödé, 日本語 and 🚀 in one text",
    "a [PAD] and a [MASK] inside",
    "interest " * 40,
    "What was the total revenue in 2019?",
    "Deferred tax assets were partly offset by a valuation allowance of 22.5% (see note 7).",
]
MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
ACTIVATIONS = ("gelu_new", "relu", "silu")
PROMPT = "query: "
WIDTH = 32


def model_with(transformer, modes, *rest, include_prompt=True):
    pooling = Pooling(WIDTH, pooling_mode=modes, include_prompt=include_prompt)
    return SentenceTransformer(modules=[transformer, pooling, *rest], device="cpu")


def hidden_states(model):
    """Every state of every text alone, texts below each other: no padding, so nothing but BERT itself."""
    states = []
    for text in TEXTS:
        output = model[0].auto_model(**token_inputs(model, text), output_hidden_states=True)
        states.append(torch.stack([state[0] for state in output.hidden_states]))
    return torch.cat(states, dim=1)


def token_inputs(model, text):
    features = model.preprocess([text])
    return {key: features[key] for key in ("input_ids", "attention_mask", "token_type_ids")}


def embeddings(model):
    transformer = model[0]
    values = {"default": model.encode(TEXTS), "truncated": model.encode(TEXTS, truncate_dim=10)}
    values["truncated_normalized"] = model.encode(TEXTS, truncate_dim=10, normalize_embeddings=True)
    for mode in MODES:
        values[f"pool.{mode}"] = model_with(transformer, mode).encode(TEXTS)
        values[f"prompt.{mode}"] = model_with(transformer, mode).encode(TEXTS, prompt=PROMPT)
        excluded = model_with(transformer, mode, include_prompt=False)
        values[f"excluded.{mode}"] = excluded.encode(TEXTS, prompt=PROMPT)
    values["pool.all"] = model_with(transformer, MODES).encode(TEXTS)
    model.max_seq_length = 8
    values["max_seq_8"] = model.encode(TEXTS)
    model.max_seq_length = 128
    values |= {f"act.{name}": with_activation(model, name) for name in ACTIVATIONS}
    return {name: torch.tensor(value) for name, value in values.items()}


def with_activation(model, name):
    layers = [layer.intermediate for layer in model[0].auto_model.encoder.layer]
    before = layers[0].intermediate_act_fn
    for layer in layers:
        layer.intermediate_act_fn = ACT2FN[name]
    values = model.encode(TEXTS)
    for layer in layers:
        layer.intermediate_act_fn = before
    return values


def gradients(model, weights, name):
    """Of sum(embeddings * weights); of the word table only the rows that occur."""
    model.zero_grad()
    model.eval()
    features = model.preprocess(TEXTS)
    (model(features)["sentence_embedding"] * weights).sum().backward()
    values = {}
    for parameter_name, parameter in model.named_parameters():
        if parameter.grad is None:
            continue
        short = parameter_name.removeprefix("0.auto_model.").removeprefix("0.model.")
        if short == "embeddings.word_embeddings.weight":
            rows = parameter.grad.abs().sum(dim=1).nonzero()[:, 0]
            values[f"{name}.word_rows"] = rows
            values[f"{name}.{short}"] = parameter.grad[rows].clone()
        else:
            values[f"{name}.{short}"] = parameter.grad.clone()
    return values


def similarities(model):
    a = torch.tensor(model_with(model[0], "mean").encode(TEXTS))
    near = a + 1e-4 * torch.randn(a.shape)
    functions = {"cosine": "cos_sim", "dot": "dot_score", "euclidean": "euclidean_sim", "manhattan": "manhattan_sim"}
    values = {"sim.a": a, "sim.b": near}
    for name, function in functions.items():
        values[f"sim.all.{name}"] = getattr(util, function)(a, near)
        values[f"sim.pair.{name}"] = getattr(util, f"pairwise_{function}")(a, near)
    return values


def main():
    source, target = sys.argv[1:]
    torch.manual_seed(7)
    model = SentenceTransformer(source, device="cpu")
    dense = Dense(len(MODES) * WIDTH, 24)
    headed = model_with(model[0], MODES, dense, Normalize())
    values = {"hidden_states": hidden_states(model).detach(), **embeddings(model), **similarities(model)}
    values["dense"] = torch.tensor(headed.encode(TEXTS))
    for name, with_loss, width in (("grad", model, WIDTH), ("grad_dense", headed, 24)):
        values[f"{name}.weights"] = torch.randn(len(TEXTS), width)
        values |= gradients(with_loss, values[f"{name}.weights"], name)
    out = Path(target)
    save_file({name: value.contiguous() for name, value in values.items()}, out / "encoder.safetensors")
    save_file(dict(dense.state_dict()), out / "encoder_dense.safetensors")
    (out / "encoder.json").write_text(json.dumps({"texts": TEXTS, "prompt": PROMPT}, indent=1) + "\n")


main()
