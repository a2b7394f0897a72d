"""Names of the parameters that sentence-transformers' trainer sees, as `learning_rate_mapping` matches them.

usage: goldens_names.py OUTPUT_FILE

The repository's OUTPUT_FILE is crates/model/tests/golden/parameter_names.json; set HF_HUB_OFFLINE=1. It holds the names of each
of `FOLDERS`, without the `model.` of the loss. Made with sentence-transformers 6.2.0, transformers 5.
"""

import json
import sys
from pathlib import Path

from sentence_transformers import SentenceTransformer

TESTKIT = Path(__file__).resolve().parents[1] / "crates/testkit"
FOLDERS = [
    "families/albert",
    "families/deberta-v3",
    "families/distilbert",
    "families/electra",
    "families/modernbert-bias",
    "families/mpnet",
    "families/t5",
    "families/xlm-roberta",
    "modules/layers",
    "modules/stacked",
    "modules/static-query",
    "static/root",
]


def names(folder: str) -> list[str]:
    model = SentenceTransformer(str(TESTKIT / folder / "model"), device="cpu")
    return [name for name, _ in model.named_parameters()]


def main():
    found = {folder: names(folder) for folder in FOLDERS}
    Path(sys.argv[1]).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
