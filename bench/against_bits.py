"""Vectors of two binaries, compared byte for byte; a part of against.py. Standard library only."""

import array
import ast
import filecmp
import itertools
import json
import operator
import random

import process
import texts

LEVELS = ["amx", "avx512bf16", "avx512vnni", "avx512", "avx2vnni", "avx2", "neon", "portable"]
PRECISIONS = ["f32", "f32x3", "bf16", "int16", "int8"]
MAX_LENGTH = {"tiny": 128, "minilm": 512, "bert-base": 512}

# Every n-th text is encoded. Portable kernels need about 20 times as long as AVX2.
STRIDE = {"tiny": 1, "minilm": 1, "bert-base": 12}
PORTABLE_STRIDE = {"tiny": 1, "minilm": 16, "bert-base": 96}
QUICK = 32

ODD = [
    "", " ", "\n\t", "a", "A", "!", "x" * 300, "1234567890 " * 20, "...?!", "[CLS] [SEP] [MASK]",
    "Übergrößenträger über Öl", "e\u0301te\u0301 déjà vu", "Привет, мир", "γνῶθι σεαυτόν",
    "資産の帳簿価額", "会计准则 means accounting standards", "안녕하세요", "مرحبا بالعالم",
    "שלום עולם", "नमस्ते दुनिया", "😀😀 👩‍👩‍👧‍👦 🇩🇪", "a\u200bb\u00adc\ufeffd", "a\u0000b\ufffdc\u0007d",
    "½ ﬁ ² ℃ Ⅷ", "$1,322 | (3,232) | 12.5% | €40m", "tab\tand\r\nlines\u2028and more", "İstanbul ıI ß",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "naïve café " * 60, "goodwill " * 509, "goodwill " * 510, "goodwill " * 600,
]


def all_texts(vocabulary):
    """Odd ones, real ones, and cuts of 3 to 512 tokens; shuffled, so that a stride takes of each."""
    documents, queries, _ = texts.retrieval(40, 210)
    chance = random.Random(11)
    source = texts.words(vocabulary)
    lengths = [*range(3, 120), *range(120, 512, 16), 511, 512, 512]
    cuts = [texts.cut(source, length - texts.SPECIAL, chance) for length in lengths]
    found = [*ODD, *documents.values(), *queries.values(), *cuts]
    chance.shuffle(found)
    return found


def compare(sides, models, args, folder):
    """One row per model, level, precision and number of threads."""
    offered = {side.name: combinations(side, models["tiny"]) for side in sides}
    both = [found for found in offered["base"] if found in offered["new"]]
    if not both:
        raise process.Failed(f"no level that both binaries name: {offered}")
    rows = [lost(found) for found in offered["base"] if found not in both]
    files = Files(folder, all_texts(models["minilm"] / "vocab.txt"), args.quick)
    fastest = both[0][0]
    for model, (level, precision) in itertools.product(models, both):
        if args.quick and level == "portable" and model != "tiny":
            continue
        for threads in thread_counts(model, level == fastest, args):
            rows.append(combination(sides, models, files, (model, level, precision, threads)))
            print(line(rows[-1]), flush=True)
    return rows


def combinations(side, model):
    """Levels and precisions that the binary offers on this processor."""
    return [pair for pair in itertools.product(LEVELS, PRECISIONS) if works(side, model, *pair)]


def works(side, model, level, precision):
    command = [side.matryo, "info", model, "--precision", precision, "--json"]
    try:
        info = process.last_line(at_level(level, command))
    except process.Failed:
        return False
    # "cpu, avx2, 2 threads": where the level is not available, another one stands there.
    return info["device"].split(", ")[1] == level


def at_level(level, command, threads=1):
    return process.measured(["env", f"MATRYO_CPU={level}", *command], threads)[0]


def lost(found):
    text = f"bits: the base offers {' '.join(found)}, the new binary does not"
    print(text, flush=True)
    return {"level": found[0], "precision": found[1], "failures": [text]}


def thread_counts(model, is_fastest, args):
    """One and two threads where that is cheap, all of them elsewhere."""
    both = model == "tiny" or (model == "minilm" and is_fastest)
    return sorted({1, 2}) if both else [args.threads]


class Files:
    """Input files: a share of the texts in one call, a short and a long text alone."""

    def __init__(self, folder, found, quick):
        self.folder, self.texts, self.quick = folder, found, quick
        self.alone = [self.write(f"alone-{length}", [self.of_length(length)]) for length in (16, 120)]

    def of_length(self, words):
        return min(self.texts, key=lambda text: abs(len(text.split()) - words + texts.SPECIAL))

    def write(self, name, found):
        path = self.folder / f"{name}.jsonl"
        rows = [json.dumps({"text": text}) + "\n" for text in found]
        path.write_text("".join(rows), encoding="utf-8")
        return path

    def of(self, model, level):
        stride = (PORTABLE_STRIDE if level == "portable" else STRIDE)[model]
        stride = max(stride, QUICK) if self.quick else stride
        return [self.write(f"every-{stride}", self.texts[::stride]), *self.alone]


def combination(sides, models, files, key):
    model, level, precision, threads = key
    differences, count = [], 0
    for source in files.of(model, level):
        outputs = []
        for side in sides:
            outputs.append(files.folder / f"{side.name}.npy")
            command = [
                side.matryo, "encode", models[model], "--input", source, "--column", "text",
                "--output", outputs[-1], "--precision", precision, "--threads", threads,
                "--max-seq-length", MAX_LENGTH[model], "--quiet",
            ]
            at_level(level, command, threads)
        count += len(read_rows(outputs[0]))
        if not filecmp.cmp(*outputs, shallow=False):
            differences.append(f"{source.stem}: {difference(*map(read_rows, outputs))}")
    name = f"{model} {level} {precision}, threads {threads}"
    return {
        "model": model, "level": level, "precision": precision, "threads": threads, "texts": count,
        "failures": [f"bits: {name}: {text}" for text in differences],
    }


def line(row):
    name = f"{row['model']:9} {row['level']:10} {row['precision']:5} threads {row['threads']}"
    verdict = "; ".join(row["failures"]) or "equal"
    return f"bits      {name}, {row['texts']} texts: {verdict}"


def read_rows(path):
    """Rows of an npy file of f32, as arrays."""
    data = path.read_bytes()
    # Version 1: magic of 6 bytes, version of 2, length of the header in 2.
    start = 10 + int.from_bytes(data[8:10], "little")
    header = ast.literal_eval(data[10:start].decode("ascii"))
    if header["descr"] != "<f4" or data[6] != 1:
        raise process.Failed(f"{path}: not an npy file of f32, version 1: {header}")
    values = array.array("f", data[start:])
    count, width = header["shape"]
    return [values[width * row : width * (row + 1)] for row in range(count)]


def difference(base, new):
    """How many rows differ, the first of them, and by how much."""
    if len(base) != len(new):
        return f"{len(base)} rows, then {len(new)}"
    places = [row for row, (a, b) in enumerate(zip(base, new)) if a.tobytes() != b.tobytes()]
    if not places:
        return "the headers differ"
    largest = max(max(map(abs, map(operator.sub, base[row], new[row]))) for row in places)
    return f"{len(places)} of {len(base)} rows differ, first row {places[0]}, by up to {largest:.2g}"
