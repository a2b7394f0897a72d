"""Writes the buckets of distances of transformers' DeBERTa-v2.

usage: goldens_distances.py OUTPUT_FILE

The repository's OUTPUT_FILE is crates/nn/tests/golden/distances.json: for each pair of `position_buckets` and `max_relative_positions`,
the distances from 0 to LONGEST at which the bucket changes, and the buckets from there on. Buckets of negative distances are checked
to be the same with the other sign.

Made with transformers 5.24.0, torch 2.15 on a CPU.
"""

import json
import sys
from pathlib import Path

import torch
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

LONGEST = 5000
# The first is that of published checkpoints.
PAIRS = [(256, 512), (16, 128), (10, 40), (2, 3), (3, 5), (32, 512), (256, 1680), (64, 100), (7, 33), (512, 600)]


def changes(buckets: int, max_distance: int) -> dict:
    distances = torch.arange(-LONGEST, LONGEST + 1)
    all_of_them = make_log_bucket_position(distances, buckets, max_distance).to(torch.long)
    assert torch.equal(all_of_them, -all_of_them.flip(0))
    found = all_of_them[LONGEST:].tolist()
    starts = [distance for distance in range(LONGEST + 1) if distance == 0 or found[distance] != found[distance - 1]]
    return {
        "position_buckets": buckets,
        "max_relative_positions": max_distance,
        "distances": starts,
        "buckets": [found[distance] for distance in starts],
    }


def main():
    cases = [changes(*pair) for pair in PAIRS]
    lines = ",\n".join(json.dumps(case) for case in cases)
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f'{{"longest": {LONGEST}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
