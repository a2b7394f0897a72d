"""Makes tiny models with every module, with golden values of sentence-transformers.

usage: goldens_modules.py OUTPUT_FOLDER [NAME ...]

The repository's OUTPUT_FOLDER is crates/testkit/modules; set HF_HUB_OFFLINE=1. OUTPUT_FOLDER/NAME receives
  model/                    the folder, as sentence-transformers 6.2 saves it
  golden.json, .safetensors   texts and their embeddings
  trace.json, .safetensors    of `stacked` and `static-query`: five optimizer steps, described in families_trace.py
  rates.json, .safetensors    of `stacked`: such steps with learning rates of some parameters' own

Of the other models golden.safetensors has gradients too: of the sum of `embeddings` times `direction`, both of the embeddings that
`encode` gives, or of `query`, `query_direction`, `document` and `document_direction` where a model has routes. The gradient of a
tensor is `grad/FOLDER/NAME`, by the module's folder and the tensor's name in it.

Made with sentence-transformers 6.2.0, torch 2.15 on a CPU.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.sentence_transformer.modules import (
    Dropout,
    LayerNorm,
    Pooling,
    StaticEmbedding,
    WeightedLayerPooling,
)
from transformers import BertConfig, BertModel

import families_trace

REPOSITORY = Path(__file__).resolve().parents[1]
WIDTH, WIDER = 32, 48
TEXTS = ["", "What was the total revenue in 2019?", "The company recorded a termination cost.", "interest " * 40]
# Of projections, and of the models with routes.
NARROW, NARROWEST = 24, 16


def model_of(modules: list, **settings) -> SentenceTransformer:
    return SentenceTransformer(modules=modules, device="cpu", **settings)


def family(name: str) -> SentenceTransformer:
    return SentenceTransformer(str(REPOSITORY / f"crates/testkit/families/{name}/model"), device="cpu")


def stacked() -> SentenceTransformer:
    """Nothing is dropped, so that the steps can be repeated."""
    base = family("bert")
    norm = LayerNorm(WIDTH)
    with torch.no_grad():
        norm.norm.weight.normal_(1.0, 0.2)
        norm.norm.bias.normal_(0.0, 0.2)
    dense = [
        Dense(WIDTH, WIDTH, use_residual=True),
        Dense(WIDTH, WIDER, use_residual=True, activation_function=torch.nn.GELU()),
        Dense(WIDER, WIDTH, bias=False, activation_function=torch.nn.Identity()),
    ]
    return model_of([base[0], base[1], norm, Dropout(0.0), *dense, Normalize()])


def layers(name: str, start: int) -> SentenceTransformer:
    """The weighted mean of hidden states, which the encoder hands on because its config.json says so."""
    encoder = family(name)[0]
    encoder.auto_model.config.output_hidden_states = True
    blocks = encoder.auto_model.config.num_hidden_layers
    mean = WeightedLayerPooling(WIDTH, num_hidden_layers=blocks, layer_start=start)
    with torch.no_grad():
        mean.layer_weights.uniform_(0.5, 1.5)
    return model_of([encoder, mean, Pooling(WIDTH, pooling_mode=("cls", "mean"))])


def projected() -> SentenceTransformer:
    """The modules of sentence-t5 and gtr: the mean, projected without a bias, of length 1."""
    encoder = family("t5")[0]
    dense = Dense(WIDTH, NARROW, bias=False, activation_function=torch.nn.Identity())
    return model_of([encoder, Pooling(WIDTH, pooling_mode="mean"), dense, Normalize()])


def token_dense() -> SentenceTransformer:
    """Modules on token embeddings before the pooling."""
    tokens = {"module_input_name": "token_embeddings"}
    modules = [
        Dense(WIDTH, WIDER, use_residual=True, activation_function=torch.nn.GELU(), **tokens),
        Dense(WIDER, NARROW, bias=False, activation_function=torch.nn.Identity(), **tokens),
        Normalize(**tokens),
        Pooling(NARROW, pooling_mode=("max", "mean")),
        Dense(2 * NARROW, NARROW),
    ]
    return model_of([family("bert")[0], *modules])


def narrow_encoder(length: int) -> Transformer:
    """BERT of one layer with the tokenizer of the family's test model."""
    config = BertConfig(
        vocab_size=500,
        hidden_size=NARROWEST,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.15,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    with tempfile.TemporaryDirectory() as folder:
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
        family("bert").tokenizer.save_pretrained(folder)
        return Transformer(folder, max_seq_length=length)


def static_query() -> SentenceTransformer:
    """A table for queries, an encoder for documents, and a module behind both. Without a task texts are documents."""
    encoder = narrow_encoder(48)
    table = StaticEmbedding(encoder.tokenizer.backend_tokenizer, embedding_weights=torch.randn(500, NARROW))
    document = [encoder, Pooling(NARROWEST, pooling_mode="mean"), Dense(NARROWEST, NARROW)]
    return model_of([Router.for_query_document([table], document), Normalize()])


def two_encoders() -> SentenceTransformer:
    """Two encoders of different lengths, prompts, and no route for texts without a task."""
    routes = {
        "query": [narrow_encoder(12), Pooling(NARROWEST, pooling_mode="cls")],
        "document": [narrow_encoder(48), Pooling(NARROWEST, pooling_mode="mean")],
    }
    router = Router(routes, allow_empty_key=False)
    return model_of([router], prompts={"query": "question: ", "document": "text: "})


MODELS = {
    "stacked": stacked,
    "layers": lambda: layers("bert", 0),
    "layers-t5": lambda: layers("t5", 1),
    "t5-dense": projected,
    "token-dense": token_dense,
    "static-query": static_query,
    "two-encoders": two_encoders,
}

# Models with routes of which steps are recorded, and the widths of the loss.
TRACED = {"static-query": [NARROW, 16, 8]}


def folders(model: SentenceTransformer) -> dict[str, torch.nn.Module]:
    """Every module that has weights, by its folder."""
    found = {}
    for index, module in enumerate(model):
        if isinstance(module, Router):
            for route, inner in module.sub_modules.items():
                found |= {f"{route}_{i}_{type(part).__name__}": part for i, part in enumerate(inner)}
        else:
            found["" if index == 0 else f"{index}_{type(module).__name__}"] = module
    return {folder: getattr(module, "auto_model", module) for folder, module in found.items()}


def forward(model: SentenceTransformer, task: str | None) -> torch.Tensor:
    prompt = model.prompts.get(task) or None
    features = model.preprocess(TEXTS, prompt=prompt, task=task)
    return model(features, **({"task": task} if task else {}))["sentence_embedding"]


def values(folder: Path) -> dict[str, torch.Tensor]:
    """Embeddings by task, directions, and the gradient of every tensor."""
    model = SentenceTransformer(str(folder / "model"), device="cpu")
    routed = isinstance(model[0], Router)
    if not routed:
        found = {"embeddings": torch.tensor(model.encode(TEXTS))}
    else:
        found = {"query": torch.tensor(model.encode_query(TEXTS)), "document": torch.tensor(model.encode_document(TEXTS))}
        if model[0].default_route:
            found["plain"] = torch.tensor(model.encode(TEXTS))
    total = 0.0
    for task in ("query", "document") if routed else (None,):
        embeddings = forward(model, task)
        assert torch.allclose(embeddings, found[task or "embeddings"], atol=1e-6)
        direction = torch.randn(embeddings.shape)
        found[f"{task}_direction" if task else "direction"] = direction
        total = total + (embeddings * direction).sum()
    total.backward()
    for place, module in folders(model).items():
        if not any(True for _ in module.parameters()):
            continue
        with safe_open(folder / "model" / place / "model.safetensors", "pt") as file:
            saved = set(file.keys())
        for name, parameter in module.named_parameters():
            if parameter.grad is not None:
                found[f"grad/{place}/{saved_name(name, saved)}"] = parameter.grad
    return found


def saved_name(name: str, saved: set[str]) -> str:
    """The name in the file: transformers writes TensorFlow's names of norms where it has read them."""
    other = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    return name if name in saved else other


def make(name: str, output: Path):
    torch.manual_seed(7)
    folder = output / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = MODELS[name]()
    model.save_pretrained(str(folder / "model"), create_model_card=False)
    about = {"texts": TEXTS, "library": "sentence-transformers"}
    if name != "stacked":
        save_file(values(folder), folder / "golden.safetensors")
        if name in TRACED:
            families_trace.record(REPOSITORY, folder, TRACED[name], {"anchor": "query", "positive": "document"})
    else:
        # The trainer of the record reads the folder anew.
        vectors = SentenceTransformer(str(folder / "model"), device="cpu").encode(TEXTS)
        save_file({"embeddings": torch.tensor(vectors)}, folder / "golden.safetensors")
        # The biases of keys, whose true gradient is 0: Adam makes steps of what rounding leaves of it.
        names = [name for name, _ in model[0].auto_model.named_parameters() if name.endswith("key.bias")]
        about["zero_gradients"] = names
        families_trace.record(REPOSITORY, folder)
        families_trace.record(REPOSITORY, folder, name="rates", further=families_trace.RATES)
    (folder / "golden.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def main():
    torch.set_num_threads(1)
    for name in sys.argv[2:] or MODELS:
        make(name, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
