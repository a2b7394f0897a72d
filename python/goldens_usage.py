"""The example of use in the cards of sentence-transformers, for models that tell queries from documents and for one that does not.

usage: goldens_usage.py OUTPUT_FILE

The repository's OUTPUT_FILE is crates/train/tests/golden/card/usage_st62.json; set HF_HUB_OFFLINE=1. It holds the snippet of each
of `CASES`. Made with sentence-transformers 6.2.0.
"""

import json
import sys
from pathlib import Path

from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.losses import MultipleNegativesRankingLoss

TESTKIT = Path(__file__).resolve().parents[1] / "crates/testkit"
PLAIN = "models/tiny-bert"
# Name of the case: the folder, its prompts, the first column of the data.
CASES = {
    "plain": (PLAIN, {}, "anchor"),
    "static-query": ("modules/static-query/model", {}, "anchor"),
    "two-encoders": ("modules/two-encoders/model", None, "anchor"),
    "query prompt": (PLAIN, {"query": "q: "}, "anchor"),
    "passage prompt": (PLAIN, {"passage": "p: "}, "anchor"),
    "empty prompts": (PLAIN, {"query": "", "document": ""}, "anchor"),
    "other prompt": (PLAIN, {"topic": "t: "}, "anchor"),
    "question column": (PLAIN, {}, "question"),
    "query column": (PLAIN, {}, "query"),
}


def snippet(folder: str, prompts: dict[str, str] | None, column: str) -> str:
    settings = {} if prompts is None else {"prompts": prompts}
    model = SentenceTransformer(str(TESTKIT / folder), device="cpu", **settings)
    data = Dataset.from_dict({column: ["revenue", "rain"], "positive": ["income", "weather"]})
    card = model.model_card_data
    # As the trainer does.
    card.extract_dataset_metadata(data, [{}], MultipleNegativesRankingLoss(model), "train", {column: "query", "positive": "document"})
    return card.generate_usage_snippet()


def main():
    found = {name: snippet(*case) for name, case in CASES.items()}
    Path(sys.argv[1]).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
