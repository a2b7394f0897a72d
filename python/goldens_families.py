"""Makes a tiny random checkpoint, golden values and a recorded training for every model family.

usage: goldens_families.py OUTPUT_FOLDER [FAMILY ...]

A family is one entry of FAMILIES; the repository's OUTPUT_FOLDER is crates/testkit/families. FAMILY limits the run to some of them; set
HF_HUB_OFFLINE=1. OUTPUT_FOLDER/FAMILY receives
  model/                  a sentence-transformers folder in the layout that all versions read
  golden.safetensors      token ids, hidden states, embeddings and gradients, described in `goldens`
  golden.json             texts and names that belong to them
  trace.json, .safetensors  five optimizer steps, described in families_trace.py
  config_old.json, config_new.json  only if transformers 5 writes config.json in another form than it used to

Made with sentence-transformers 6.2.0, transformers 5.24.0, tokenizers 0.23.3, torch 2.15 on a CPU.
"""

import inspect
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import sentence_transformers
import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import AutoModel

import families_trace
from families_tokenizers import KINDS, TinyTokenizer

REPOSITORY = Path(__file__).resolve().parents[1]
WIDTH = 32
# Longest input of every model, and almost the length of its longest text.
MAX_TOKENS = 128
VOCABULARY = 500
PROMPT = "query: "
MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
# Largest difference of a text alone and in a padded batch.
PADDING_TOLERANCE = 1e-5


@dataclass
class Family:
    """A class of transformers, what its configuration says beyond SIZES, and a kind of families_tokenizers.py.

    Ids of special tokens come from the tokenizer unless they are given. The model's class is that of the configuration unless it
    is given, as for an encoder that is part of a larger model.
    """

    config: str
    tokenizer: str
    values: dict
    model: str | None = None


SIZES = {"hidden_size": WIDTH, "initializer_range": 0.15}
BERT = {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": MAX_TOKENS,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "type_vocab_size": 2,
}
# Positions start after the padding id, 1: the table has two rows more than the longest input.
XLM_ROBERTA = {"max_position_embeddings": MAX_TOKENS + 2, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
MPNET = {key: value for key, value in BERT.items() if key != "type_vocab_size"} | {"max_position_embeddings": MAX_TOKENS + 2}
DISTILBERT = {
    "dim": WIDTH,
    "n_layers": 2,
    "n_heads": 4,
    "hidden_dim": 64,
    "max_position_embeddings": MAX_TOKENS,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "sinusoidal_pos_embds": True,
}
# A head is not the width over the number of heads.
T5 = {
    "d_kv": 12,
    "d_ff": 64,
    "num_layers": 3,
    "num_heads": 4,
    "dropout_rate": 0.0,
    "initializer_range": 0.1,
}
MODERNBERT = {
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "local_attention": 16,
    "max_position_embeddings": 256,
}


# As published checkpoints of version 3: buckets, shared projections, no absolute positions, rows that no token has.
DEBERTA_V3 = BERT | {
    "type_vocab_size": 0,
    "vocab_size": VOCABULARY + 12,
    "relative_attention": True,
    "position_buckets": 16,
    "max_relative_positions": -1,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": "p2c|c2p",
    "position_biased_input": False,
    "layer_norm_eps": 1e-7,
}
# As the large ones of version 2 in having a convolution; no value that is the default of its key.
DEBERTA_V2 = BERT | {
    "relative_attention": True,
    "max_relative_positions": 20,
    "pos_att_type": ["c2p", "p2c"],
    "embedding_size": 24,
    "attention_head_size": 8,
    "conv_kernel_size": 3,
    "conv_groups": 2,
    "conv_act": "gelu",
    "layer_norm_eps": 1e-6,
}
# One term alone, and a convolution wider than most texts.
DEBERTA_V2_C2P = BERT | {
    "type_vocab_size": 0,
    "relative_attention": True,
    "position_buckets": 10,
    "max_relative_positions": 40,
    "norm_rel_ebd": "none|layer_norm",
    "pos_att_type": ["c2p"],
    "conv_kernel_size": 5,
}


def rope(full: float, sliding: float) -> dict:
    """Rotary embedding bases of layers that see the whole text and of those that see a window."""
    bases = {"full_attention": full, "sliding_attention": sliding}
    return {kind: {"rope_type": "default", "rope_theta": base} for kind, base in bases.items()}


FAMILIES = {
    "bert": Family("BertConfig", "wordpiece", BERT),
    # As in multilingual MiniLM and e5: the padding id is 1 in the tokenizer and 0, which is `<s>`, in config.json.
    "bert-unigram": Family("BertConfig", "unigram", BERT | {"pad_token_id": 0}),
    # Tables narrower than the hidden states, so that there is a projection.
    "electra": Family("ElectraConfig", "wordpiece", BERT | {"embedding_size": 24}),
    "xlm-roberta": Family("XLMRobertaConfig", "unigram", BERT | XLM_ROBERTA),
    "roberta": Family("RobertaConfig", "roberta-bpe", BERT | XLM_ROBERTA),
    "camembert": Family("CamembertConfig", "unigram", BERT | XLM_ROBERTA),
    # Two blocks of the first group's parameters, then one of the second's.
    "albert": Family(
        "AlbertConfig",
        "unigram",
        BERT | {"embedding_size": 24, "num_hidden_layers": 3, "num_hidden_groups": 2, "hidden_act": "gelu_new"},
    ),
    # Rows of the position table as the class needs them, whatever the padding id.
    "mpnet": Family("MPNetConfig", "mpnet", MPNET),
    "distilbert": Family("DistilBertConfig", "wordpiece", DISTILBERT),
    "ernie": Family("ErnieConfig", "wordpiece", BERT | {"use_task_id": True}),
    "t5": Family("T5Config", "t5", T5, "T5EncoderModel"),
    # Gated, as T5 is from version 1.1 on; no value is the default of its key.
    "mt5": Family(
        "MT5Config",
        "t5",
        T5
        | {
            "feed_forward_proj": "gated-gelu",
            "relative_attention_num_buckets": 16,
            "relative_attention_max_distance": 40,
            "layer_norm_epsilon": 1e-5,
        },
        "MT5EncoderModel",
    ),
    "deberta-v2": Family("DebertaV2Config", "deberta", DEBERTA_V2),
    "deberta-v2-c2p": Family("DebertaV2Config", "deberta", DEBERTA_V2_C2P),
    "deberta-v3": Family("DebertaV2Config", "deberta", DEBERTA_V3),
    "modernbert": Family(
        "ModernBertConfig",
        "bpe",
        MODERNBERT | {"global_attn_every_n_layers": 3, "rope_parameters": rope(160000.0, 10000.0)},
    ),
    # No value that is the default of its key.
    "modernbert-bias": Family(
        "ModernBertConfig",
        "bpe",
        MODERNBERT
        | {
            "num_hidden_layers": 3,
            "global_attn_every_n_layers": 2,
            "rope_parameters": rope(80000.0, 5000.0),
            "attention_bias": True,
            "mlp_bias": True,
            "norm_bias": True,
            "norm_eps": 1e-6,
            "hidden_activation": "gelu_pytorch_tanh",
        },
    ),
}


# The checkpoint.


def finance_texts() -> list[str]:
    """Both columns of the training data, in their order."""
    rows = families_trace.training_rows(REPOSITORY)
    return [row[column] for row in rows for column in ("positive", "anchor")]


def config_of(family: Family, tokenizer: TinyTokenizer):
    """The configuration, with the tokenizer's ids for those special tokens that the class knows."""
    config_class = getattr(transformers, family.config)
    roles = {"pad": "pad", "cls": "cls", "sep": "sep", "bos": "cls", "eos": "sep"}
    ids = {f"{name}_token_id": tokenizer.id(role) for name, role in roles.items() if role in tokenizer.tokens}
    defaults = config_class()
    known = {name: value for name, value in ids.items() if getattr(defaults, name, None) is not None}
    size = tokenizer.tokenizer.get_vocab_size()
    return config_class(**SIZES | {"vocab_size": size} | known | family.values)


def random_model(family: Family, config):
    """A model of which no value is what initialisation gives: padding rows, norms and biases are random, too."""
    model = getattr(transformers, family.model)(config) if family.model else AutoModel.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, config.initializer_range)
            else:
                parameter.normal_(1.0 if name.endswith("weight") else 0.0, 0.2)
    return model


def write_model(folder: Path, model, tokenizer: TinyTokenizer):
    """Writes a folder of sentence-transformers in its layout before 5.4: mean pooling, then length 1."""
    model.save_pretrained(folder)
    tokenizer.tokenizer.save(str(folder / "tokenizer.json"))
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    files = {
        "tokenizer_config.json": tokenizer.config(MAX_TOKENS),
        "modules.json": [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{name}"}
            for index, (path, name) in enumerate(modules)
        ],
        "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "__version__": versions(),
            "prompts": {},
            "default_prompt_name": None,
            "similarity_fn_name": None,
        },
        "1_Pooling/config.json": {"word_embedding_dimension": WIDTH}
        | {f"pooling_mode_{mode}{suffix(mode)}": mode == "mean" for mode in MODES}
        | {"include_prompt": True},
    }
    for path, content in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        write_json(folder / path, content)


def suffix(mode: str) -> str:
    """What the old form of 1_Pooling/config.json adds to the name of a mode."""
    if mode == "cls":
        return "_token"
    return "" if "token" in mode else "_tokens"


def versions() -> dict[str, str]:
    return {
        "sentence_transformers": sentence_transformers.__version__,
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "pytorch": torch.__version__,
    }


def write_json(path: Path, content):
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# Two forms of a configuration.


def modernbert_before_5(config: dict, family: Family) -> dict:
    """ModernBERT's configuration as transformers 4 wrote it: one number for the layers, one key for each base."""
    old = {key: value for key, value in config.items() if key not in ("layer_types", "rope_parameters")}
    bases = config["rope_parameters"]
    return old | {
        "global_attn_every_n_layers": family.values["global_attn_every_n_layers"],
        "global_rope_theta": bases["full_attention"]["rope_theta"],
        "local_rope_theta": bases["sliding_attention"]["rope_theta"],
        "transformers_version": "4.48.0",
    }


# By model_type, for the families that have two forms.
OLD_FORMS = {"modernbert": modernbert_before_5}


def write_both_forms(folder: Path, family: Family, model):
    """Writes config_old.json and config_new.json and checks that transformers reads the same model from both."""
    old_form = OLD_FORMS.get(model.config.model_type)
    if old_form is None:
        return
    new = json.loads((folder / "model/config.json").read_text())
    for key in ("global_attn_every_n_layers", "global_rope_theta", "local_rope_theta"):
        new.pop(key, None)
    write_json(folder / "config_new.json", new)
    write_json(folder / "config_old.json", old_form(new, family))
    ids = torch.arange(MAX_TOKENS)[None]
    expected = model.eval()(input_ids=ids).last_hidden_state
    for form in ("config_old.json", "config_new.json"):
        with tempfile.TemporaryDirectory() as scratch:
            shutil.copy(folder / form, f"{scratch}/config.json")
            shutil.copy(folder / "model/model.safetensors", scratch)
            found = AutoModel.from_pretrained(scratch).eval()
        assert torch.equal(found(input_ids=ids).last_hidden_state, expected), form
        print(f"  {form}: the same hidden states, bit for bit")


# The golden values.


def golden_texts(tokenizer: TinyTokenizer) -> list[str]:
    """Ragged, from nothing to almost MAX_TOKENS. Two special tokens are spelled out in a text."""
    pad, mask = tokenizer.tokens["pad"], tokenizer.tokens["mask"]
    return [
        "",
        "revenue",
        "What was the total revenue in 2019?",
        "The company recorded a termination cost of $1.35 billion, net of tax.",
        "Ünïcödé, 日本語 and 🚀 in  one text",
        f"a {pad} and a {mask} inside",
        "interest " * 12,
        "What was the total revenue in 2019?",
        long_text(tokenizer.tokenizer),
    ]


def long_text(tokenizer) -> str:
    """Words of the training data, as many as make MAX_TOKENS - 3 tokens or a few less."""
    words = " ".join(finance_texts()[:4]).split()
    count = 1
    while len(tokenizer.encode(" ".join(words[: count + 1])).ids) <= MAX_TOKENS - 3:
        count += 1
    return " ".join(words[:count])


PAIRS = [
    ("What was the total revenue in 2019?", "Total revenue was $ 1,452.4 in 2019."),
    ("", "a text after nothing"),
    ("interest rate swaps", ""),
]


class Encoder:
    """A model folder: its transformer, run on the ids of the tokenizers library, and sentence-transformers' modules."""

    def __init__(self, folder: Path, tokenizer: TinyTokenizer):
        self.model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"attn_implementation": "eager"})
        self.model.eval()
        self.transformer = self.model[0].auto_model
        self.tokenizer = tokenizer
        self.has_types = "token_type_ids" in inspect.signature(self.transformer.forward).parameters
        self.type_rows = getattr(self.transformer.config, "type_vocab_size", 0)

    def encodings(self, texts: list) -> list[tuple[list[int], list[int]]]:
        """Ids and token types of texts or pairs."""
        encodings = self.tokenizer.tokenizer.encode_batch(texts)
        return [(e.ids, e.type_ids if self.type_rows > 1 else [0] * len(e.ids)) for e in encodings]

    def inputs(self, encodings: list) -> dict[str, torch.Tensor]:
        """A padded batch."""
        inputs = {
            "input_ids": rectangle([ids for ids, _ in encodings], self.tokenizer.id("pad")),
            "attention_mask": rectangle([[1] * len(ids) for ids, _ in encodings], 0),
        }
        if self.has_types:
            inputs["token_type_ids"] = rectangle([types for _, types in encodings], 0)
        return inputs

    @torch.no_grad()
    def states(self, encodings: list) -> tuple[torch.Tensor, torch.Tensor]:
        """Of every text alone: [1 + blocks, tokens, width] what enters the first block and leaves each, and the output."""
        blocks = block_list(self.transformer)
        captured = []
        # A block whose parameters serve again is called again.
        hooks = [blocks[0].register_forward_pre_hook(lambda block, inputs: captured.append(inputs[0]) if not captured else None)]
        hooks += [block.register_forward_hook(lambda block, inputs, output: captured.append(first(output))) for block in blocks]
        convolution = getattr(getattr(self.transformer, "encoder", None), "conv", None)
        if convolution is not None:
            # It takes the first block's output and gives the input of the second.
            hooks.append(convolution.register_forward_hook(lambda conv, inputs, output: captured.__setitem__(-1, output)))
        states, outputs = [], []
        for encoding in encodings:
            captured.clear()
            outputs.append(self.transformer(**self.inputs([encoding])).last_hidden_state[0])
            states.append(torch.cat(captured))
        for hook in hooks:
            hook.remove()
        return torch.cat(states, dim=1), torch.cat(outputs)

    @torch.no_grad()
    def padded(self, encodings: list) -> torch.Tensor:
        """The output for the real tokens of one padded batch."""
        inputs = self.inputs(encodings)
        return self.transformer(**inputs).last_hidden_state[inputs["attention_mask"].bool()]

    def pooled(self, modes, include_prompt=True) -> SentenceTransformer:
        """The same transformer, pooled another way and not normalized."""
        pooling = Pooling(WIDTH, pooling_mode=modes, include_prompt=include_prompt)
        return SentenceTransformer(modules=[self.model[0], pooling], device="cpu")


def rectangle(rows: list[list[int]], filler: int) -> torch.Tensor:
    """Rows, all as long as the longest."""
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])


def block_list(transformer):
    """The transformer's blocks: the only list of modules as long as its configuration says, or as it has groups of blocks."""
    count = getattr(transformer.config, "num_hidden_groups", transformer.config.num_hidden_layers)
    return next(m for m in transformer.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count)


def first(output):
    """A block's hidden states, which some families return in a tuple."""
    return output[0] if isinstance(output, tuple) else output


def flat(name: str, encodings: list) -> dict[str, torch.Tensor]:
    """Ids one text after the other, and where each text begins and the last one ends."""
    lengths = [0] + [len(ids) for ids, _ in encodings]
    return {
        f"{name}ids": integers([id for ids, _ in encodings for id in ids]),
        f"{name}bounds": torch.tensor(lengths).cumsum(0).to(torch.int32),
    }


def integers(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int32)


def embeddings(encoder: Encoder, texts: list[str]) -> dict[str, torch.Tensor]:
    """Pooled vectors: of the texts, and of prompt and text together with the prompt pooled or not."""
    values = {"embed.default": encoder.model.encode(texts), "embed.all": encoder.pooled(MODES).encode(texts)}
    for mode in MODES:
        values[f"embed.{mode}"] = encoder.pooled(mode).encode(texts)
        values[f"prompt.{mode}"] = encoder.pooled(mode).encode(texts, prompt=PROMPT)
        values[f"excluded.{mode}"] = encoder.pooled(mode, include_prompt=False).encode(texts, prompt=PROMPT)
    return {name: torch.tensor(value) for name, value in values.items()}


def backward(encoder: Encoder, encodings: list, weights: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradients of sum(default embeddings * weights) by parameter name; parameters without effect are left out."""
    encoder.transformer.zero_grad()
    output = encoder.model(encoder.inputs(encodings))["sentence_embedding"]
    (output * weights).sum().backward()
    parameters = encoder.transformer.named_parameters()
    return {name: parameter.grad.clone() for name, parameter in parameters if parameter.grad is not None}


def zero_gradients(gradients: dict[str, torch.Tensor]) -> list:
    """Vectors, or their parts [name, start, end], whose gradient in f64 is 0 but for rounding."""
    found = []
    for name, gradient in gradients.items():
        zero = gradient.abs() < 1e-12
        if gradient.dim() > 1 or not zero.any():
            continue
        where = zero.nonzero()[:, 0].tolist()
        start, end = where[0], where[-1] + 1
        assert len(where) == end - start, f"{name}: zeros in several places"
        found.append(name if len(where) == len(gradient) else [name, start, end])
    return found


def gradient_goldens(encoder: Encoder, encodings: list) -> tuple[dict[str, torch.Tensor], dict]:
    """Gradients, and what is to be known of them: the word table's name, and where the true gradient is 0."""
    words = encoder.transformer.get_input_embeddings()
    modules = encoder.transformer.named_modules()
    tables = {f"{name}.weight": module for name, module in modules if isinstance(module, torch.nn.Embedding)}
    word_table = next(name for name, module in tables.items() if module is words)
    weights = torch.randn(len(encodings), WIDTH)
    gradients = backward(encoder, encodings, weights)
    occurring = sorted({id for ids, _ in encodings for id in ids})
    gradients[word_table] = gradients[word_table][occurring]
    values = {"grad.weights": weights, "grad.word_rows": integers(occurring)}
    values |= {f"grad.{name}": gradient for name, gradient in gradients.items()}
    encoder.model.double()
    exact = backward(encoder, encodings, weights.double())
    encoder.model.float()
    facts = {
        "word_table": word_table,
        "zero_gradients": zero_gradients(exact),
        "padding_rows": {name: table.padding_idx for name, table in tables.items() if table.padding_idx is not None},
    }
    return values, facts


def goldens(encoder: Encoder) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors of golden.safetensors and the content of golden.json.

    ids, bounds            token ids of all texts one after the other; where each begins, and the end
    prompt_len             tokens of the prompt that pooling leaves out in `excluded.*`, `[CLS]` among them
    hidden_states          [1 + blocks, tokens, width]: input of the first block, output of each; every text alone
    last_hidden_state      [tokens, width]: after the last norm, if there is one
    padded                 [tokens, width]: the same from one padded batch
    embed.*, prompt.*, excluded.*  pooled, see `embeddings`; all but embed.default without Normalize
    grad.*                 see `gradient_goldens`; of the word table the rows grad.word_rows
    pair.ids, .bounds, .types, .hidden  two texts in one input: the output for each pair alone
    """
    texts = golden_texts(encoder.tokenizer)
    encodings = encoder.encodings(texts)
    check_tokenizer(encoder, texts, encodings)
    states, output = encoder.states(encodings)
    padded = encoder.padded(encodings)
    difference = (padded - output).abs().max().item()
    print(f"  padded and alone differ by {difference:.1e} at most, values up to {output.abs().max():.2f}")
    assert difference < PADDING_TOLERANCE
    values = flat("", encodings) | {"hidden_states": states, "last_hidden_state": output, "padded": padded}
    values["prompt_len"] = integers([len(encoder.encodings([PROMPT])[0][0]) - 1])
    values |= embeddings(encoder, texts)
    pairs = encoder.encodings(PAIRS)
    values |= flat("pair.", pairs)
    values["pair.types"] = integers([kind for _, types in pairs for kind in types])
    values["pair.hidden"] = encoder.states(pairs)[1]
    gradients, facts = gradient_goldens(encoder, encodings)
    about = {"texts": texts, "prompt": PROMPT, "pairs": PAIRS, "modes": MODES, **facts, "versions": versions()}
    return values | gradients, about


def check_tokenizer(encoder: Encoder, texts: list[str], encodings: list):
    """sentence-transformers must read from the folder the tokenizer that was written."""
    for text, (ids, _) in zip(texts, encodings):
        assert encoder.model.preprocess([text])["input_ids"][0].tolist() == ids, text
    assert encoder.model.max_seq_length == MAX_TOKENS


def make(name: str, folder: Path):
    """Writes everything of one family."""
    print(name)
    family = FAMILIES[name]
    torch.manual_seed(7)
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = KINDS[family.tokenizer](finance_texts(), VOCABULARY)
    tokenizer.tokenizer.enable_truncation(MAX_TOKENS)
    model = random_model(family, config_of(family, tokenizer))
    write_model(folder / "model", model, tokenizer)
    write_both_forms(folder, family, model)
    values, about = goldens(Encoder(folder / "model", tokenizer))
    save_file({key: value.contiguous() for key, value in values.items()}, folder / "golden.safetensors")
    write_json(folder / "golden.json", about)
    families_trace.record(REPOSITORY, folder)
    print(f"  {sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1000:.0f} kB")


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    target, *names = sys.argv[1:]
    for name in names or FAMILIES:
        make(name, Path(target) / name)


if __name__ == "__main__":
    main()
