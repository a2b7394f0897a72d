"""Texts of exact lengths in tokens, the same on every machine: words of real passages, cut and joined. Standard library only.

Only words that are one token of BERT's uncased vocabulary are taken, so that a length in words is a length in tokens.
"""

import json
import math
import pathlib
import random

ROOT = pathlib.Path(__file__).parent.parent
FINANCE = ROOT / "examples" / "finance"
VOCABULARY = ROOT / "quickstart" / "base" / "vocab.txt"
SPECIAL = 2  # [CLS] and [SEP]


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def flat(text):
    """On one line: files of texts have one a line. BERT's tokenizer sees no difference."""
    return " ".join(text.split())


def words(vocabulary=VOCABULARY):
    vocabulary = set(vocabulary.read_text(encoding="utf-8").splitlines())
    passages = " ".join(row["text"] for row in rows(FINANCE / "eval" / "corpus.jsonl"))
    return [word for word in passages.split() if word.isascii() and word.isalpha() and word.lower() in vocabulary]


def mixed(chance):
    """Lognormal with mean 90, as passages are: many short ones, a few that fill the model."""
    spread = 0.7
    return min(512, max(8, round(chance.lognormvariate(math.log(90) - spread**2 / 2, spread))))


LENGTHS = {"short": lambda _: 16, "mixed": mixed, "long": lambda _: 256, "max": lambda _: 512}


def texts(length, count, seed=7, vocabulary=VOCABULARY):
    """`count` texts; `length` is a name of LENGTHS or a number of tokens."""
    chance = random.Random(seed)
    source = words(vocabulary)
    one = LENGTHS[length] if length in LENGTHS else lambda _: int(length)
    return [cut(source, one(chance) - SPECIAL, chance) for _ in range(count)]


def cut(source, length, chance):
    """Consecutive words from a random place on, from the start again at the end."""
    start = chance.randrange(len(source))
    return " ".join(source[(start + i) % len(source)] for i in range(length))


def tokens(text):
    """Of a text that was cut from `words`."""
    return len(text.split()) + SPECIAL


def pairs(length, count):
    """Question/passage pairs of texts as `texts` makes them."""
    both = texts(length, 2 * count)
    return [{"positive": a, "anchor": b} for a, b in zip(both[::2], both[1::2])]


def retrieval(documents=None, queries=None):
    """Identifiers and texts of the evaluation data, and the relevant documents of each query."""
    folder = FINANCE / "eval"
    documents = {row["_id"]: flat(row["text"]) for row in rows(folder / "corpus.jsonl")[:documents]}
    queries = {row["_id"]: flat(row["text"]) for row in rows(folder / "queries.jsonl")[:queries]}
    relevant = {query: set() for query in queries}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, score = line.split("\t")
        if query in queries and int(score) > 0:
            relevant[query].add(document)
    return documents, queries, relevant
