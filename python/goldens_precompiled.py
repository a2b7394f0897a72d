"""A tokenizer with a Precompiled normaliser, as published models of sentencepiece have, and its ids.

usage: goldens_precompiled.py OUTPUT_FOLDER

The repository's OUTPUT_FOLDER is crates/model/tests/golden/precompiled; set HF_HUB_OFFLINE=1. It receives
  tokenizer.json, tokenizer_config.json   made by transformers' converter for XLM-R from a model that sentencepiece trained
  ids.json                                texts and their ids

Published files have the whole of nmt_nfkc, 300 kB. This one has the rules of `rules`, in the same form. The ids of all texts but
`OTHERWISE` are checked against sentencepiece itself. Made with sentencepiece 0.2.3, transformers 5.24.0, tokenizers 0.23.3.
"""

import json
import sys
import tempfile
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import sentencepiece
from transformers.convert_slow_tokenizer import XLMRobertaConverter

REPOSITORY = Path(__file__).resolve().parents[1]
SIZE = 200
# Full-width forms, ligatures, half-width katakana with their marks, letters like units, fractions, circled numbers, squares of
# several characters, spaces of all kinds, letters that are composed.
RANGES = [
    (0xFF01, 0xFF9F), (0xFB00, 0xFB06), (0x2100, 0x214F), (0xB2, 0xBE), (0x2460, 0x2473), (0x3300, 0x3320),
    (0x2000, 0x200A), (0x3000, 0x3000), (0xA0, 0xA0), (0x2025, 0x2026),
]
COMPOSED = ["e\u0301", "u\u0308", "A\u030a", "カ\u3099", "ハ\u309a", "ｶ\uff9e", "ﾊ\uff9f", "\u1112\u1161\u11ab", "\u1100\u1173\u11af"]
# What nmt_nfkc leaves out or makes a space, beyond NFKC.
NMT = {"\u200b": "", "\ufeff": "", "\u00ad": "", "\n": " ", "\t": " ", "\u2028": " "}
# The last is a text of nothing but what becomes a space or nothing.
TEXTS = [
    "The ﬁnancial oﬀer of ２０１９ was ＵＳＤ　５０．",
    "revenue², ½ of it, №5 ™ ℃",
    "ｶﾞｽ ﾊﾟﾘ カ\u3099ス",
    "re\u0301sume\u0301 and résumé, Mu\u0308ller, A\u030angström",
    "①②⑳ ㌀ ㌔",
    "zero\u200bwidth\u00adand\ufeffmarks",
    "a\tb\nc\u2028d\u00a0e\u2003f",
    "  two  spaces  ",
    "e\u0301\u0301\u0301 ｶ\u0301",
    "wait…… for ‥",
    "日本語 emoji 😀 👨‍👩‍👧 e\u0301😀",
    "ｆｕｌｌ　ｗｉｄｔｈ ｔｅｘｔ，！？",
    "\u1112\u1161\u11ab\u1100\u1173\u11af 한글",
    "\u3000\u200b \u00a0",
]
# What the tokenizers library reads otherwise than sentencepiece: it looks up whole clusters of characters, those of less than 6 bytes,
# and else single characters, so that a letter and a mark of 3 bytes each, or the parts of a Hangul syllable, are not composed. Users of transformers get its ids.
OTHERWISE = {TEXTS[2], TEXTS[8], TEXTS[-2]}


def rules() -> dict[str, str]:
    found = dict(NMT)
    characters = [chr(code) for start, end in RANGES for code in range(start, end + 1)]
    for text in characters + COMPOSED:
        normal = unicodedata.normalize("NFKC", text)
        if normal != text:
            found[text] = normal
    return found


def codes(text: str) -> str:
    return " ".join(f"{ord(character):X}" for character in text)


def trained(folder: Path) -> Path:
    lines = (REPOSITORY / "examples/finance/reference/train.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["anchor"] for line in lines]
    table = folder / "rules.tsv"
    table.write_text("".join(f"{codes(a)}\t{codes(b)}\n" for a, b in rules().items()), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts + ["résumé Müller Å 日本語 ガス パリ 한글"] * 20),
        model_prefix=str(folder / "pieces"),
        vocab_size=SIZE,
        character_coverage=1.0,
        normalization_rule_tsv=str(table),
        num_threads=1,
        minloglevel=2,
    )
    return folder / "pieces.model"


def main():
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        path = trained(Path(scratch))
        special = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
        source = SimpleNamespace(vocab_file=str(path), convert_tokens_to_ids=special.get)
        tokenizer = XLMRobertaConverter(source).converted()
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
        for text in TEXTS:
            # sentencepiece has <unk>, <s> and </s> first; fairseq's order is one more, and <unk> is 3.
            expected = [id + 1 if id else 3 for id in pieces.encode(text)]
            found = tokenizer.encode(text).ids[1:-1]
            assert (found != expected) == (text in OTHERWISE), text
    tokenizer.save(str(target / "tokenizer.json"), pretty=False)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 64,
        "model_input_names": ["input_ids", "attention_mask"],
        **{f"{role}_token": f"<{name}>" for role, name in [("cls", "s"), ("pad", "pad"), ("sep", "/s"), ("unk", "unk"), ("mask", "mask")]},
    }
    (target / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    told = {"texts": TEXTS, "ids": [encoding.ids for encoding in tokenizer.encode_batch(TEXTS)]}
    (target / "ids.json").write_text(json.dumps(told, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
