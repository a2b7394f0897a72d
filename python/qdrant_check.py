"""Compares a collection in a folder with its copy on a real Qdrant server, through the commands of matryo. Standard library only.

usage: qdrant_check.py MATRYO MODEL [URL] [--record FILE]

MATRYO is built with the feature `collections`; URL is http://localhost:6333 by default, of Qdrant 1.16 or later. Leaves nothing on the server.
Checks adding, changing, deleting, filters, words, stages, pushing, recall, and what is refused.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile
import urllib.request

CORPUS = pathlib.Path(__file__).parent.parent / "examples" / "finance" / "eval"
NAMES = ("matryo-check", "matryo-check-pushed")
FILTERS = ["year >= 2016", 'region in ["EU", "UK"]', "not region exists", 'tags = "t1"', "audited = true and share < 0.5",
           'text contains "impairment"', 'id in ["0", "7", "9"] or year = 2015', 'year != 2015 and (region = "US" or audited = false)']


def documents():
    rows = [json.loads(line) for line in (CORPUS / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    for i, row in enumerate(rows):
        fields = {"id": str(i), "text": row["text"], "year": 2010 + i % 10, "tags": [f"t{i % 3}", "all"], "share": i / len(rows), "audited": i % 4 == 0}
        yield fields | ({"region": ("EU", "UK", "US")[i % 3]} if i % 5 else {})


def questions():
    return [json.loads(line)["text"] for line in (CORPUS / "queries.jsonl").read_text(encoding="utf-8").splitlines()][::25]


class Check:
    def __init__(self, args, folder):
        self.args, self.folder, self.done = args, pathlib.Path(folder), []

    def matryo(self, *arguments, code=0):
        run = subprocess.run([self.args.matryo, *arguments, "--json"], capture_output=True, text=True)
        if run.returncode != code:
            raise SystemExit(f"error: {' '.join(arguments)}: exit code {run.returncode}, expected {code}\n{run.stderr}")
        return json.loads(run.stdout) if code == 0 else run.stderr

    def equal(self, what, found, expected):
        if found != expected:
            raise SystemExit(f"error: {what}: {found}, expected {expected}"[:1000])
        self.done.append(what)
        print(f"{what}: as expected", flush=True)

    def file(self, rows):
        path = self.folder / "documents.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    def answers(self, place, *how):
        asked = [self.matryo("search", *place, question, *how)["results"] for question in questions()]
        return [[(hit["id"], round(hit["score"], 4)) for hit in hits] for hits in asked]

    def run(self):
        rows, local = list(documents()), [str(self.folder / "collection")]
        there, pushed = ([name, "--url", self.args.url] for name in NAMES)
        made = ["--model", self.args.model, "--dims", "64,128", "--hybrid", "--storage", "int8"]
        for place in (local, there):
            added = self.matryo("index", "add", *place, *made, self.file(rows))
            self.equal(f"documents added to {place[0]}", added["added"], len(rows))
        self.compare(local, there, "added there")
        self.matryo("index", "push", *local, self.args.url, "--name", NAMES[1])
        self.compare(local, pushed, "pushed")
        for place in (local, there):
            self.matryo("index", "update", *place, self.file([rows[3] | {"text": "changed"}]))
            self.matryo("index", "delete", *place, "8", "9")
            self.equal("after a change", self.matryo("index", "add", *place, self.file([rows[3] | {"text": "changed"}]))["unchanged"], 1)
        self.compare(local, there, "changed")
        recall = self.matryo("index", "recall", *there, "--sample", "100")
        self.equal("recall with the default settings is 0.99 or more", recall["recall"] >= 0.99, True)
        self.refused(there)

    def compare(self, local, place, what):
        counts = [self.matryo("index", "info", *each) for each in (local, place)]
        self.equal(f"{what}: documents", counts[1]["documents"], counts[0]["documents"])
        for how in [[], ["--exact"], ["--stages", "64:200,128:100,384:10"]] + [["--filter", text] for text in FILTERS]:
            self.equal(f"{what}: {' '.join(how) or 'plain search'}", self.answers(place, *how), self.answers(local, *how))
        # The weight of a word is that of a segment, and a server has several: ranks that are fused may change places.
        pairs = list(zip(self.answers(place, "--hybrid"), self.answers(local, "--hybrid")))
        ids = lambda hits: {name for name, _ in hits}
        shared = sum(len(ids(a) & ids(b)) for a, b in pairs) / sum(len(b) for _, b in pairs)
        self.equal(f"{what}: --hybrid finds 9 of 10 alike", shared >= 0.9, True)

    def refused(self, place):
        for arguments, words in [
            (["search", *place, "x", "--filter", "nothing = 1"], "no document has the field"),
            (["index", "delete", *place, "nobody"], "not in the collection"),
            (["index", "info", "matryo-check-none", *place[1:]], "no collection"),
        ]:
            self.equal(f"refused: {words}", words in self.matryo(*arguments, code=2), True)


def call(url, method="GET"):
    with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
        return json.loads(answer.read())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matryo")
    parser.add_argument("model")
    parser.add_argument("url", nargs="?", default="http://localhost:6333")
    parser.add_argument("--record", type=pathlib.Path)
    args = parser.parse_args()
    version = call(args.url)["version"]
    with tempfile.TemporaryDirectory() as folder:
        check = Check(args, folder)
        try:
            check.run()
        finally:
            for name in NAMES:
                call(f"{args.url}/collections/{name}", "DELETE")
    if args.record:
        args.record.write_text(json.dumps({"qdrant": version, "model": pathlib.Path(args.model).name, "checks": check.done}, indent=1) + "\n", encoding="utf-8")
    print(f"Qdrant {version}: {len(check.done)} checks passed")


main()
