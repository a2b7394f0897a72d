"""Trains a classifier with Python's setfit, or a linear probe with scikit-learn, and measures it: the other side of
`matryo classify train` in bench/classify.py.

usage: setfit_banking77.py MODEL TRAIN.jsonl TEST.jsonl [--probe] [--num_iterations N] [--seed 42]

The files have the fields `text` and `label`. The last line printed is a JSON object: versions, accuracy, f1_macro, log_loss,
and seconds (tune, head: encoding the examples and fitting, predict) without imports and loading.

setfit 1.1.3 does not import beside transformers 5 (it asks for `default_logdir` of transformers.training_args), so it wants an
environment of its own:

    python3 -m venv /tmp/setfit
    /tmp/setfit/bin/pip install "setfit==1.1.3" "sentence-transformers==5.1.2" "transformers==4.57.3" "datasets==4.3.0" torch
"""

import argparse
import json
import tempfile
import time

import datasets
import numpy
import sentence_transformers
import sklearn
import torch
import transformers
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--probe", action="store_true")
    parser.add_argument("--num_iterations", type=int)
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


def read(path):
    with open(path, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row["text"] for row in rows], [str(row["label"]) for row in rows]


class Clock:
    """Seconds by what they were spent on."""

    def __init__(self):
        self.seconds, self.last = {}, time.perf_counter()

    def lap(self, name):
        now = time.perf_counter()
        self.seconds[name], self.last = round(now - self.last, 3), now


def few_shot(args, texts, labels, test):
    import setfit

    versions["setfit"] = setfit.__version__
    model = setfit.SetFitModel.from_pretrained(args.model)
    with tempfile.TemporaryDirectory() as scratch:
        settings = setfit.TrainingArguments(output_dir=scratch, num_iterations=args.num_iterations, seed=args.seed, report_to="none",
                                            save_strategy="no", logging_strategy="no", show_progress_bar=False)
        trainer = setfit.Trainer(model=model, args=settings, train_dataset=datasets.Dataset.from_dict({"text": texts, "label": labels}))
        clock = Clock()
        trainer.train_embeddings(texts, labels)
        clock.lap("tune")
    trainer.train_classifier(texts, labels)
    clock.lap("head")
    probabilities = model.predict_proba(test, as_numpy=True)
    clock.lap("predict")
    return probabilities, model.model_head, clock.seconds, trainer.st_trainer.state.global_step


def probe(args, texts, labels, test):
    model = sentence_transformers.SentenceTransformer(args.model, device="cpu")
    clock = Clock()
    head = LogisticRegression().fit(model.encode(texts), labels)
    clock.lap("head")
    probabilities = head.predict_proba(model.encode(test))
    clock.lap("predict")
    return probabilities, head, clock.seconds, 0


versions = {"sentence-transformers": sentence_transformers.__version__, "transformers": transformers.__version__,
            "torch": torch.__version__, "scikit-learn": sklearn.__version__}


def main():
    args = arguments()
    (texts, labels), (test, truth) = read(args.train), read(args.test)
    probabilities, head, seconds, steps = (probe if args.probe else few_shot)(args, texts, labels, test)
    predicted = head.classes_[numpy.argmax(probabilities, axis=1)]
    result = {
        "versions": versions, "examples": len(texts), "classes": len(head.classes_), "steps": steps, "seconds": seconds,
        "iterations": int(head.n_iter_[0]), "accuracy": accuracy_score(truth, predicted), "f1_macro": f1_score(truth, predicted, average="macro"),
        "log_loss": log_loss(truth, probabilities, labels=head.classes_),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
