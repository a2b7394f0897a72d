"""Makes golden.json: heads and measures of scikit-learn, pairs of setfit.

Made with scikit-learn 1.9.1 and setfit 1.1.3 (its src/setfit/sampler.py needs numpy and torch only): python make.py
"""

import json
from pathlib import Path

import numpy
import sklearn
from setfit.sampler import ContrastiveDataset
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, log_loss

HERE = Path(__file__).parent
BINS = 15


def data(rows, dim, classes, seed):
    """Overlapping clouds, classes of unequal size, values that f32 holds exactly."""
    random = numpy.random.default_rng(seed)
    y = numpy.sort(random.integers(0, classes, rows) * random.integers(0, 2, rows) + random.integers(0, 2, rows) % classes) % classes
    y[:classes] = numpy.arange(classes)
    centres = random.normal(size=(classes, dim))
    x = centres[y] + random.normal(size=(rows, dim)) * 1.5
    return x.astype(numpy.float32).astype(numpy.float64), y


def head(name, rows, dim, classes, c, seed):
    x, y = data(rows, dim, classes, seed)
    optimum = LogisticRegression(C=c, tol=1e-14, max_iter=10_000, solver="newton-cg").fit(x, y)
    default = LogisticRegression(C=c).fit(x, y)
    return {
        "name": name, "C": c, "x": x.tolist(), "y": y.tolist(), "coef": optimum.coef_.tolist(), "intercept": optimum.intercept_.tolist(),
        "probabilities": optimum.predict_proba(x).tolist(), "default_probabilities": default.predict_proba(x).tolist(),
        "predictions": optimum.predict(x).tolist(),
    }


def calibration_error(confidence, right):
    """Guo et al. 2017: bins (k/15, (k+1)/15]."""
    bins = numpy.clip(numpy.ceil(confidence * BINS).astype(int), 1, BINS)
    parts = [numpy.sum(bins == b) * abs(right[bins == b].mean() - confidence[bins == b].mean()) for b in numpy.unique(bins)]
    return float(sum(parts) / len(confidence))


def measures(name, head, labels, unknown, seed):
    """Truths that are often the prediction; those named `unknown` are of no class of the head."""
    random = numpy.random.default_rng(seed)
    p = numpy.array(head["probabilities"])
    names = numpy.array(labels + unknown)
    best = p.argmax(axis=1)
    truth = numpy.where(random.random(len(p)) < 0.6, best, random.integers(0, len(names), len(p)))
    wide = numpy.hstack([p, numpy.zeros((len(p), len(unknown)))])
    halved = 2.0 if len(labels) == 2 else 1.0
    return {
        "name": name, "labels": labels, "truth": names[truth].tolist(), "probabilities": p.tolist(),
        "accuracy": accuracy_score(names[truth], names[best]), "f1_macro": f1_score(names[truth], names[best], average="macro"),
        "log_loss": float(-numpy.log(numpy.clip(wide[numpy.arange(len(p)), truth], numpy.finfo(float).eps, 1.0)).mean())
        if unknown else log_loss(truth, p, labels=list(range(len(labels)))),
        "brier_score": float(((wide - numpy.eye(len(names))[truth]) ** 2).sum(axis=1).mean() / halved)
        if unknown else brier_score_loss(truth, p if len(labels) > 2 else p[:, 1], labels=list(range(len(labels)))),
        "expected_calibration_error": calibration_error(p.max(axis=1), truth == best),
    }


def pairs(classes, **options):
    rows = ContrastiveDataset([str(i) for i in range(len(classes))], classes, None, **options)
    return {"classes": classes, **options, "pairs": [[int(r["sentence_1"]), int(r["sentence_2"]), r["label"]] for r in rows]}


def main():
    heads = [head("four classes", 80, 6, 4, 1.0, 1), head("two classes", 60, 5, 2, 1.0, 2), head("weakly regularised", 150, 4, 3, 50.0, 3)]
    classes = [0, 0, 1, 2, 1, 0, 2, 2, 2]
    golden = {
        "versions": {"scikit-learn": sklearn.__version__},
        "heads": heads,
        "measures": [
            measures("four classes", heads[0], ["a", "b", "c", "d"], [], 4),
            measures("two classes", heads[1], ["no", "yes"], [], 5),
            measures("unknown labels", heads[0], ["a", "b", "c", "d"], ["y", "z"], 6),
        ],
        "pairs": [
            pairs(classes, sampling_strategy="oversampling"),
            pairs(classes, sampling_strategy="undersampling"),
            pairs(classes, sampling_strategy="unique"),
            pairs(classes, num_iterations=3),
            pairs(classes, sampling_strategy="oversampling", max_pairs=16),
            pairs(classes, num_iterations=2, max_pairs=6),
        ],
    }
    (HERE / "golden.json").write_text(json.dumps(golden) + "\n")


main()
