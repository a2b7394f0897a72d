"""Tokenizers of the tiny models of goldens_families.py, one per kind that published models have.

Each is trained on the texts of examples/finance and described by the files tokenizer.json and tokenizer_config.json.
"""

import io
from collections import Counter
from dataclasses import dataclass

import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

BERT_TOKENS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
XLM_TOKENS = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}
MPNET_TOKENS = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "[UNK]", "mask": "<mask>"}
T5_TOKENS = {"pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<extra_id_0>"}
METASPACE = {"replacement": "▁", "prepend_scheme": "always"}


@dataclass
class TinyTokenizer:
    """A trained tokenizer with the special tokens by role."""

    tokenizer: Tokenizer
    tokens: dict[str, str]
    # Whether the model receives token types from it.
    token_types: bool

    def id(self, role: str) -> int:
        return self.tokenizer.token_to_id(self.tokens[role])

    def config(self, max_tokens: int) -> dict:
        """The content of tokenizer_config.json.

        The class is named because transformers 5 otherwise rebuilds the tokenizer from the vocabulary, with the
        normalizer and pre-tokenizer that it expects of the family.
        """
        types = ["token_type_ids"] if self.token_types else []
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": max_tokens,
            "model_input_names": ["input_ids", *types, "attention_mask"],
            **{f"{role}_token": token for role, token in self.tokens.items()},
        }


def wordpiece(texts: list[str], size: int) -> TinyTokenizer:
    """As bert-base-uncased has: lower case, `[CLS] A [SEP] B [SEP]`, padding id 0."""
    tokenizer = lower_case_pieces(texts, size, BERT_TOKENS)
    tokenizer.post_processor = bert_template(tokenizer)
    return TinyTokenizer(tokenizer, BERT_TOKENS, token_types=True)


def lower_case_pieces(texts: list[str], size: int, special: dict[str, str]) -> Tokenizer:
    """A WordPiece tokenizer whose first tokens are the special ones."""
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    words = Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    vocabulary = wordpiece_vocabulary(words, size, list(special.values()))
    tokenizer = Tokenizer(models.WordPiece({piece: id for id, piece in enumerate(vocabulary)}, unk_token=special["unk"]))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(list(special.values()))
    return tokenizer


def mpnet_wordpiece(texts: list[str], size: int) -> TinyTokenizer:
    """As all-mpnet-base-v2 has: BERT's pieces between `<s>` and `</s>`, pairs as RoBERTa's, no token types."""
    tokenizer = lower_case_pieces(texts, size, MPNET_TOKENS)
    tokenizer.post_processor = roberta_template(tokenizer)
    return TinyTokenizer(tokenizer, MPNET_TOKENS, token_types=False)


def wordpiece_vocabulary(words: Counter, size: int, special: list[str]) -> list[str]:
    """Special tokens, characters, and the beginnings and ends of words that cover most text.

    The library's trainer breaks ties by the order of a hash map: each run would give another vocabulary.
    """
    characters = sorted({character for word in words for character in word})
    covered = Counter()
    for word, count in words.items():
        for cut in range(2, len(word) + 1):
            covered[word[:cut]] += count * cut
            covered["##" + word[-cut:]] += count * cut
    best = sorted(covered, key=lambda piece: (-covered[piece], piece))
    start = [*special, *characters, *("##" + character for character in characters)]
    return (start + best)[:size]


def byte_level_bpe(texts: list[str], size: int) -> TinyTokenizer:
    """As ModernBERT has: NFC, bytes, special tokens at the end of the vocabulary, a mask token that eats the space before."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size - len(BERT_TOKENS), initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    order = ["unk", "cls", "sep", "pad"]
    tokenizer.add_special_tokens([BERT_TOKENS[role] for role in order])
    tokenizer.add_special_tokens([AddedToken(BERT_TOKENS["mask"], lstrip=True)])
    tokenizer.post_processor = bert_template(tokenizer)
    return TinyTokenizer(tokenizer, BERT_TOKENS, token_types=False)


def roberta_bpe(texts: list[str], size: int) -> TinyTokenizer:
    """As RoBERTa has: bytes, `<s> A </s></s> B </s>` with all token types 0, special tokens first, a mask that eats the space before."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size - 1, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = roberta_template(tokenizer)
    return TinyTokenizer(tokenizer, XLM_TOKENS, token_types=False)


def bert_template(tokenizer: Tokenizer) -> processors.TemplateProcessing:
    special = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    return processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", special)


def roberta_template(tokenizer: Tokenizer) -> processors.RobertaProcessing:
    ends = [(token, tokenizer.token_to_id(token)) for token in ("</s>", "<s>")]
    return processors.RobertaProcessing(*ends, trim_offsets=True, add_prefix_space=False)


def unigram(texts: list[str], size: int) -> TinyTokenizer:
    """As XLM-R has: `<s> A </s></s> B </s>`, padding id 1, the mask at the end, all token types 0.

    NFKC stands for the Precompiled map of published files, which is 300 kB.
    """
    tokenizer = Tokenizer(models.Unigram(unigram_vocabulary(texts, size - 1, XLM_IDS), unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**METASPACE)])
    tokenizer.decoder = decoders.Metaspace(**METASPACE)
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    ends = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", "<s> $A </s> </s> $B </s>", ends)
    return TinyTokenizer(tokenizer, XLM_TOKENS, token_types=False)


def t5_unigram(texts: list[str], size: int) -> TinyTokenizer:
    """As T5 has: `A </s>`, `A </s> B </s>`, padding id 0, two of the sentinels that stand at the end in falling order."""
    sentinels = ["<extra_id_1>", "<extra_id_0>"]
    special = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    tokenizer = Tokenizer(models.Unigram(unigram_vocabulary(texts, size - len(sentinels), special), unk_id=2))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**METASPACE)])
    tokenizer.decoder = decoders.Metaspace(**METASPACE)
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>", *sentinels])
    end = [("</s>", tokenizer.token_to_id("</s>"))]
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", end)
    return TinyTokenizer(tokenizer, T5_TOKENS, token_types=False)


def deberta_unigram(texts: list[str], size: int) -> TinyTokenizer:
    """As DeBERTa-v3 has: `[CLS] A [SEP] B [SEP]` with token types, padding id 0, the mask at the end."""
    tokenizer = Tokenizer(models.Unigram(unigram_vocabulary(texts, size - 1, DEBERTA_IDS), unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(**METASPACE)
    tokenizer.decoder = decoders.Metaspace(**METASPACE)
    tokenizer.add_special_tokens(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"])
    tokenizer.post_processor = bert_template(tokenizer)
    return TinyTokenizer(tokenizer, BERT_TOKENS, token_types=True)


DEBERTA_IDS = {
    "pad_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "unk_id": 3,
    "pad_piece": "[PAD]",
    "bos_piece": "[CLS]",
    "eos_piece": "[SEP]",
    "unk_piece": "[UNK]",
}
XLM_IDS = {"bos_id": 0, "pad_id": 1, "eos_id": 2, "unk_id": 3}


def unigram_vocabulary(texts: list[str], size: int, special: dict[str, int]) -> list[tuple[str, float]]:
    """Pieces and scores from sentencepiece, since the trainer of tokenizers gives others in each run."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=size,
        normalization_rule_name="nfkc",
        **special,
        num_threads=1,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [(pieces.id_to_piece(id), pieces.get_score(id)) for id in range(pieces.get_piece_size())]


KINDS = {
    "wordpiece": wordpiece,
    "bpe": byte_level_bpe,
    "roberta-bpe": roberta_bpe,
    "mpnet": mpnet_wordpiece,
    "unigram": unigram,
    "t5": t5_unigram,
    "deberta": deberta_unigram,
}
