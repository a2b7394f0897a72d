"""How near vectors are to those of the reference, and how well they retrieve. Standard library only."""

import array
import math
import operator


def read_rows(path, width):
    """A file of f32 rows, one after another."""
    values = array.array("f")
    values.frombytes(path.read_bytes())
    return [values[start:start + width] for start in range(0, len(values), width)]


def dot(a, b):
    return sum(map(operator.mul, a, b))


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def compare(rows, reference):
    """Cosine to the reference and the largest difference of a number."""
    cosines = [cosine(a, b) for a, b in zip(rows, reference, strict=True)]
    error = max(abs(x - y) for a, b in zip(rows, reference) for x, y in zip(a, b))
    return {"cosine_min": min(cosines), "cosine_mean": sum(cosines) / len(cosines), "max_abs_error": error}


def unit(row):
    length = math.sqrt(dot(row, row))
    return [value / length for value in row]


def ndcg_at_10(documents, queries, relevant):
    """NDCG@10 of exact search by cosine, as sentence-transformers computes it: a document is relevant or not.

    `documents` and `queries` are rows by identifier. Queries without a relevant document are left out.
    """
    documents = {name: unit(row) for name, row in documents.items()}
    judged = [name for name in queries if relevant[name] & documents.keys()]
    return sum(gain(nearest(unit(queries[name]), documents), relevant[name]) for name in judged) / max(1, len(judged))


def nearest(query, documents):
    scores = {name: dot(query, row) for name, row in documents.items()}
    return sorted(scores, key=scores.get, reverse=True)[:10]


def gain(found, relevant):
    discounts = [1 / math.log2(place + 2) for place in range(10)]
    got = sum(discount for discount, name in zip(discounts, found) if name in relevant)
    return got / sum(discounts[:len(relevant)])
