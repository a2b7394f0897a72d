"""What large activations cost in fewer bits: columns of the residual scaled up through the gains of all norms. Standard library only.

    python3 bench/outliers.py [MODEL ...] [--factor 50] [--columns 3]

Real models carry a few columns whose values are tens of times larger than the rest, which is what eight bits fail on; models with random
weights have none. A copy of each model (default: those that run.sh makes) gets them, and is compared with itself in f32 over
300 texts of examples/finance, beside the model as it was. Needs the binary of a release build.
"""

import argparse
import array
import json
import pathlib
import random
import shutil
import statistics
import struct
import subprocess
import tempfile

import accuracy
import cargo
import table
import tasks
import texts

PRECISIONS = ("bf16", "int16", "int8")
COUNT = 300


def flags():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made = [tasks.MODELS[family] for family in tasks.FAMILIES if tasks.MODELS[family].exists()]
    parser.add_argument("models", nargs="*", type=pathlib.Path, default=made)
    parser.add_argument("--factor", type=float, default=50.0)
    parser.add_argument("--columns", type=int, default=3)
    return parser.parse_args()


def scaled(folder, target, factor, count):
    """A copy of a model in which the gains of norms have `count` columns, the same in all layers, times `factor`."""
    shutil.copytree(folder, target)
    path = target / "model.safetensors"
    content = bytearray(path.read_bytes())
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8:8 + length])
    width = json.loads((target / "config.json").read_text(encoding="utf-8"))
    width = next(width[key] for key in ("hidden_size", "dim", "d_model") if key in width)
    columns = random.Random(0).sample(range(width), count)
    is_gain = lambda name: "norm" in name.lower() and name.endswith((".weight", ".gamma"))
    gains = [info for name, info in header.items() if is_gain(name) and info["shape"] == [width]]
    if not gains:
        raise SystemExit(f"no gains of norms in {path}")
    for info in gains:
        assert info["dtype"] == "F32", info
        start = 8 + length + info["data_offsets"][0]
        for place in (start + 4 * column for column in columns):
            struct.pack_into("<f", content, place, factor * struct.unpack_from("<f", content, place)[0])
    path.write_bytes(content)
    return len(gains)


def vectors(model, precision, source, folder):
    target = folder / "vectors.jsonl"
    target.unlink(missing_ok=True)
    subprocess.run([cargo.release() / "matryo", "encode", model, "--input", source, "--output", target, "--precision", precision, "--quiet"],
                   check=True)
    rows = (json.loads(line) for line in target.read_text(encoding="utf-8").splitlines())
    return [array.array("f", row["embedding"] if isinstance(row, dict) else row) for row in rows]


def cosines(model, source, folder):
    """Least and mean cosine to f32, by precision."""
    exact = vectors(model, "f32", source, folder)
    found = {}
    for precision in PRECISIONS:
        rows = vectors(model, precision, source, folder)
        all_of_them = [accuracy.cosine(a, b) for a, b in zip(exact, rows, strict=True)]
        found[precision] = (min(all_of_them), statistics.mean(all_of_them))
    return found


def main():
    args = flags()
    rows = []
    for model in args.models:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            source = folder / "texts.txt"
            source.write_text("\n".join(real_texts()) + "\n", encoding="utf-8")
            gains = scaled(model, folder / "model", args.factor, args.columns)
            for label, path in (("as it is", model), (f"{args.columns} columns x {args.factor:g} in {gains} norms", folder / "model")):
                least = [f"{low:.6f}, {mean:.6f}" for low, mean in cosines(path, source, folder).values()]
                rows.append([path.name if path == model else "", label, *least])
                print(rows[-1], flush=True)
    print(table.markdown(["model", "", *(f"{precision}, least and mean" for precision in PRECISIONS)], rows))


def real_texts():
    documents, queries, _ = texts.retrieval()
    return [*list(documents.values())[:COUNT // 2], *list(queries.values())[:COUNT // 2]]


if __name__ == "__main__":
    main()
