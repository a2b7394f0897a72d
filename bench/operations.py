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
    feed_forward: int
    feed_forward_matrices: int
    windows: list

    @classmethod
    def read(cls, folder):
        config = json.loads((pathlib.Path(folder) / "config.json").read_text(encoding="utf-8"))
        modern = config["model_type"] == "modernbert"
        layers = config["num_hidden_layers"]
        return cls(
            hidden=config["hidden_size"], feed_forward=config["intermediate_size"],
            feed_forward_matrices=3 if modern else 2,
            windows=modernbert_windows(config, layers) if modern else [None] * layers,
        )

    def forward(self, tokens):
        """Of one text."""
        weights = 4 * self.hidden**2 + self.feed_forward_matrices * self.hidden * self.feed_forward
        pairs = sum(attended(tokens, window) for window in self.windows)
        return 2 * tokens * weights * len(self.windows) + 4 * self.hidden * pairs

    def training(self, tokens):
        """Of one text, forward and backward."""
        return TRAINING * self.forward(tokens)


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
