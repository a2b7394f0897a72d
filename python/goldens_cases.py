"""Makes golden values of folders as people have them: prompts by role, lengths in files of older names, activations by name, tables that differ,
padding ids that disagree, texts that tokenizers take in a way of their own.

usage: goldens_cases.py OUTPUT_FILE

The repository's OUTPUT_FILE is crates/model/tests/golden/cases.json; set HF_HUB_OFFLINE=1. Its content is described at each function. Made with
sentence-transformers 6.2.0, transformers 5.24.0, tokenizers 0.23.3, torch 2.15 on a CPU.
"""

import json
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from transformers.activations import ACT2FN

REPOSITORY = Path(__file__).resolve().parents[1]
FAMILIES = REPOSITORY / "crates/testkit/families"
TINY = REPOSITORY / "crates/testkit/models/tiny-bert"
TEXTS = ["What was the total revenue in 2019?", "interest rate swaps"]


@contextmanager
def changed(source: Path, **files):
    """A copy of a model folder; each file is a function that changes its JSON. Dots in names are written as `__`."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        shutil.copytree(source, folder)
        for name, change in files.items():
            path = folder / name.replace("__", ".")
            content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            change(content)
            path.write_text(json.dumps(content), encoding="utf-8")
        yield folder


def opened(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu", model_kwargs={"attn_implementation": "eager"})


def embeddings(folder: Path, texts: list[str]) -> list[list[float]]:
    """Each text alone."""
    model = opened(folder)
    return [[round(x, 7) for x in model.encode([text])[0].tolist()] for text in texts]


def prompts() -> list[dict]:
    """For prompts and a default: the text that goes before plain texts, queries and documents."""
    cases = [
        ({}, None),
        ({"query": "q: ", "passage": "p: "}, None),
        ({"query": "q: ", "document": "", "passage": "p: "}, None),
        ({"query": "q: ", "document": "d: ", "corpus": "c: "}, None),
        ({"corpus": "c: ", "other": "o: "}, "other"),
        ({"query": "q: "}, "query"),
    ]
    found = []
    for named, default in cases:

        def change(config, named=named, default=default):
            config |= {"prompts": named, "default_prompt_name": default}

        with changed(TINY, config_sentence_transformers__json=change) as folder:
            model = opened(folder)
            seen = []
            model.preprocess = lambda inputs, prompt=None, **_: seen.append(prompt or "") or stop()
            for encode in (model.encode, model.encode_query, model.encode_document):
                try:
                    encode(["text"])
                except StopIteration:
                    pass
        plain, query, document = seen
        found.append({"prompts": named, "default": default, "plain": plain, "query": query, "document": document})
    return found


def stop():
    raise StopIteration


def lengths() -> dict[str, int]:
    """The longest input of a folder whose length 77 stands in a file of each name, by name; 128 where the file is not read."""
    families = ["bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet", "mpnet", "electra"]
    found = {}
    for family in families:
        name = f"sentence_{family}_config.json"
        with changed(TINY) as folder:
            (folder / "sentence_bert_config.json").unlink()
            (folder / name).write_text('{"max_seq_length": 77}')
            found[name] = opened(folder).max_seq_length
    return found


def activations() -> dict[str, list[float] | None]:
    """The embedding of the first text by the name of the activation, of every one that transformers has; none of those with weights."""
    found = {}
    for name in sorted(ACT2FN.keys()):
        if any(True for _ in ACT2FN[name].parameters()):
            found[name] = None
            continue
        with changed(TINY, config__json=lambda config, name=name: config.update(hidden_act=name)) as folder:
            found[name] = embeddings(folder, TEXTS[:1])[0]
    return found


def two_tables() -> dict[str, list]:
    """Embeddings of a T5 by which tables its file has: the encoder's own is the shared one with its signs turned."""
    found = {}
    for name, tables in {"both": ["shared", "encoder.embed_tokens"], "own": ["encoder.embed_tokens"], "shared": ["shared"]}.items():
        with changed(FAMILIES / "t5/model") as folder:
            path = folder / "model.safetensors"
            tensors = load_file(path)
            shared = tensors.pop("shared.weight")
            values = {"shared": shared, "encoder.embed_tokens": -shared}
            tensors |= {f"{table}.weight": values[table].contiguous() for table in tables}
            save_file(tensors, path, metadata={"format": "pt"})
            found[name] = embeddings(folder, TEXTS)
    return found


def large_values() -> dict:
    """Embeddings of a T5 whose feed-forward networks give values as published ones do, which f16 does not hold; and the largest hidden value."""
    with changed(FAMILIES / "t5/model") as folder:
        path = folder / "model.safetensors"
        tensors = load_file(path)
        scaled = {name: tensor * SCALE if name.endswith("DenseReluDense.wo.weight") else tensor for name, tensor in tensors.items()}
        save_file(scaled, path, metadata={"format": "pt"})
        model = opened(folder)
        largest = []
        hooks = [block.register_forward_hook(lambda _, __, output: largest.append(output[0].abs().max().item())) for block in model[0].auto_model.encoder.block]
        model.encode(TEXTS)
        for hook in hooks:
            hook.remove()
        print(f"largest hidden value {max(largest):.0f}")
        return {"scale": SCALE, "largest": max(largest), "embeddings": embeddings(folder, TEXTS)}


SCALE = 100000.0

# The first holds unknown characters, whose token is 3 in the tokenizers of these models.
PADDED = ["日本 and 🚀 in one 日 text", *TEXTS]


def padding_ids() -> dict[str, dict]:
    """Embeddings by family and by config.json's padding id, whatever the tokenizer's is."""
    found = {}
    for family, ids in {"xlm-roberta": [0, 1, 3], "mpnet": [0, 5]}.items():
        found[family] = {}
        for id in ids:
            with changed(FAMILIES / family / "model", config__json=lambda config, id=id: config.update(pad_token_id=id)) as folder:
                found[family][str(id)] = embeddings(folder, PADDED)
    return found


def odd_texts(tokenizer) -> list[str]:
    """Special tokens with spaces around them or within words, spaces that count, characters that are composed or unknown."""
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    texts = [f"one  {token}  two" for token in special] + [f"one{token}two" for token in special]
    return texts + [
        "it  's  theirs",
        " leading and trailing  ",
        "\u1112\u1161\u11ab\u1100\u1173\u11af and \uff76\uff9e and \ufb01n",
        "e\u0301te\u0301 \u00e9t\u00e9 \u0130I",
        "日本語日本語 🚀🚀",
        "tab\tnew\nline\u00a0space\u3000wide",
        "",
    ]


def token_ids() -> dict[str, list]:
    """By family: texts and the ids that the tokenizers library gives them from tokenizer.json."""
    found = {}
    for folder in sorted(FAMILIES.iterdir()):
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "model/tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        found[folder.name] = [[text, tokenizer.encode(text).ids] for text in odd_texts(tokenizer)]
    return found


def accents() -> list[dict]:
    """Ids of a text with accents by `lowercase` and `strip_accents` of BERT's normalizer."""
    text = "Café RÉSUMÉ naïve Ünïcödé"
    found = []
    for lowercase in (True, False):
        for strip in (None, True, False):

            def change(content, lowercase=lowercase, strip=strip):
                content["normalizer"] |= {"lowercase": lowercase, "strip_accents": strip}

            with changed(TINY, tokenizer__json=change) as folder:
                tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
                tokenizer.no_padding()
                found.append({"lowercase": lowercase, "strip_accents": strip, "text": text, "ids": tokenizer.encode(text).ids})
    return found


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    (target,) = sys.argv[1:]
    parts = [prompts, lengths, activations, two_tables, large_values, padding_ids, token_ids, accents]
    values = {"texts": TEXTS, "padded_texts": PADDED} | {part.__name__: part() for part in parts}
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
    Path(target).write_text("{\n" + lines + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
