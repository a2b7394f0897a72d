"""How many operations an encoder's specification needs, from config.json. Standard library only.

A product and a sum are two operations. Counted are the products of matrices, which are nearly all of it: of each layer's
weights with its input, of queries with keys, of weights with values. A local window counts for the keys in it alone.
"""

import dataclasses
import json
import pathlib

# Forward once, and backward a product for the input's and one for the weight's gradient.
TRAINING = 3


@dataclasses.dataclass(frozen=True)
class Encoder:
    """What of config.json the number of operations follows from; `windows` has an entry a layer, None for all keys."""

    hidden: int
    # All heads of a layer together.
    attention: int
    feed_forward: int
    feed_forward_matrices: int
    # Products of a query with a key, or with what stands for their distance, and of a weight with a value.
    products_a_pair: int
    windows: list

    @classmethod
    def read(cls, folder):
        config = json.loads((pathlib.Path(folder) / "config.json").read_text(encoding="utf-8"))
        family = config["model_type"]
        layers = first(config, "num_hidden_layers", "n_layers", "num_layers")
        hidden = first(config, "hidden_size", "dim", "d_model")
        gated = family == "modernbert" or config.get("is_gated_act", False)
        return cls(
            hidden=hidden, attention=config["num_heads"] * config["d_kv"] if family == "t5" else hidden,
            feed_forward=first(config, "intermediate_size", "hidden_dim", "d_ff"), feed_forward_matrices=3 if gated else 2,
            products_a_pair=2 + deberta_terms(config),
            windows=modernbert_windows(config, layers) if family == "modernbert" else [None] * layers,
        )

    def forward(self, tokens):
        """Of one text."""
        weights = self.hidden * (4 * self.attention + self.feed_forward_matrices * self.feed_forward)
        pairs = sum(attended(tokens, window) for window in self.windows)
        return 2 * tokens * weights * len(self.windows) + 2 * self.products_a_pair * self.attention * pairs

    def training(self, tokens):
        """Of one text, forward and backward."""
        return TRAINING * self.forward(tokens)


def first(config, *keys):
    """The value of the first of these keys that is there: families name alike things differently."""
    return next(config[key] for key in keys if key in config)


def deberta_terms(config):
    """Terms in which a vector stands for the distance of a query and a key."""
    return len(config.get("pos_att_type") or []) if config.get("relative_attention") else 0


def modernbert_windows(config, layers):
    """`local_attention` counts the keys of both sides; every n-th layer from the first on sees all."""
    half = config.get("local_attention", 128) // 2
    kinds = config.get("layer_types") or [
        "full_attention" if layer % config.get("global_attn_every_n_layers", 3) == 0 else "sliding_attention"
        for layer in range(layers)
    ]
    return [None if kind == "full_attention" else half for kind in kinds]


def attended(tokens, half):
    """Pairs of a query and a key at most `half` apart; all of them where it is None."""
    half = tokens if half is None else half
    return sum(min(tokens, place + half + 1) - max(0, place - half) for place in range(tokens))
