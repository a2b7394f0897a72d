"""Records five optimizer steps of sentence-transformers' trainer on a model of goldens_families.py.

trace.json has the keys of crates/train/tests/golden/traces. Nothing is evaluated: `epochs` is empty, `best` and
`num_train_epochs` are null. The steps, losses and norms of sentence-transformers 5.7.0 with `no_duplicates` are the same, bit
for bit; the order of batches is that of 5.7, see `order_of_5_7`.
trace.safetensors has the embeddings of the probe sentences (`initial`, `final`) and the final weights: `weights.{name}`, of
tables only the rows that changed, which `rows.{name}` lists. rates.json and rates.safetensors are the same of a run with
learning rates of some parameters' own, `RATES`.
"""

import json
import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.losses import MatryoshkaLoss, MultipleNegativesRankingLoss
from sentence_transformers.base.sampler import NoDuplicatesBatchSampler

ROWS = 80
DIMENSIONS = [32, 16, 8]
SETTINGS = {
    "max_steps": 5,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.1,
    "logging_steps": 1,
    "seed": 42,
}
# Overlapping patterns, of which the last counts, over the names of the loss's parameters; weight decay keeps its rule.
RATES = {
    "weight_decay": 0.1,
    "learning_rate_mapping": {
        "embeddings": 1e-4,
        r"layer\.0\.": 3e-3,
        r"layer\.\d\.attention.*bias$": 0.0,
        r"^model\.[2-9]\.": 2e-3,
    },
}


def training_rows(repository: Path) -> list[dict[str, str]]:
    """All rows of the example's reference data."""
    lines = (repository / "examples/finance/reference/train.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def order_of_5_7(dataset, *, seed, **settings) -> NoDuplicatesBatchSampler:
    """`no_duplicates` in the order of sentence-transformers 5.7, whose trainer does not pass its seed to the sampler."""
    return NoDuplicatesBatchSampler(dataset, seed=0, **settings)


class RecordingTrainer(SentenceTransformerTrainer):
    """Keeps the rows that were collated and the losses, in order."""

    def __init__(self, row_of: dict, **settings):
        super().__init__(**settings)
        self.collated, self.losses, self.scaled, self.rates = [], [], [], []
        collate = self.data_collator

        def recorded(features):
            self.collated.append([row_of[feature["positive"], feature["anchor"]] for feature in features])
            return collate(features)

        recorded.valid_label_columns = collate.valid_label_columns
        self.data_collator = recorded

    def compute_loss(self, *arguments, **settings):
        result = super().compute_loss(*arguments, **settings)
        loss = result[0] if isinstance(result, tuple) else result
        self.losses.append(loss.item())
        return result

    def training_step(self, *arguments, **settings):
        scaled = super().training_step(*arguments, **settings)
        self.scaled.append(scaled.item())
        # The rate of the step that follows: without accumulation there is one after each micro-batch.
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        return scaled


def trainer_for(
    model: SentenceTransformer,
    rows: list[dict[str, str]],
    scratch: str,
    dimensions: list[int],
    further: dict,
) -> RecordingTrainer:
    columns = {name: [row[name] for row in rows] for name in ("positive", "anchor")}
    row_of = {(row["positive"], row["anchor"]): index for index, row in enumerate(rows)}
    assert len(row_of) == len(rows), "a row is there twice"
    arguments = SentenceTransformerTrainingArguments(
        output_dir=scratch,
        batch_sampler=order_of_5_7,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        **SETTINGS,
        **further,
    )
    loss = MatryoshkaLoss(model, MultipleNegativesRankingLoss(model), matryoshka_dims=dimensions)
    return RecordingTrainer(row_of, model=model, args=arguments, train_dataset=Dataset.from_dict(columns), loss=loss)


def record(
    repository: Path,
    folder: Path,
    dimensions: list[int] = DIMENSIONS,
    router_mapping: dict[str, str] | None = None,
    name: str = "trace",
    further: dict = {},
):
    """Trains folder/model and writes folder/NAME.json and folder/NAME.safetensors; `further` are settings beside the usual ones.

    With a `router_mapping` there are no weights, and `final_query` has the probe sentences as queries.
    """
    rows = training_rows(repository)[:ROWS]
    probes = (repository / "crates/train/tests/golden/probe16.txt").read_text(encoding="utf-8").splitlines()
    model = SentenceTransformer(str(folder / "model"), device="cpu")
    values = {"initial": torch.tensor(model.encode(probes))}
    with tempfile.TemporaryDirectory() as scratch:
        trainer = trainer_for(model, rows, scratch, dimensions, further | {"router_mapping": router_mapping or {}})
        result = trainer.train()
    model.eval()
    values["final"] = torch.tensor(model.encode(probes))
    if router_mapping:
        values["final_query"] = torch.tensor(model.encode_query(probes))
    else:
        before = load_file(folder / "model/model.safetensors")
        values |= final_weights(before, getattr(model[0], "auto_model", model[0]).state_dict())
    save_file(values, folder / f"{name}.safetensors")
    told = course(trainer, result, dimensions)
    told["settings"] = SETTINGS | further
    (folder / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n")


def course(trainer: RecordingTrainer, result, dimensions: list[int]) -> dict:
    """What trace.json says. Collating may be ahead of training, so its list may be longer."""
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    norms = [entry["grad_norm"] for entry in log]
    steps = enumerate(zip(trainer.rates, norms, strict=True), start=1)
    return {
        "micro": list(zip(trainer.collated, trainer.losses, trainer.scaled)),
        "steps": [[step, rate, norm] for step, (rate, norm) in steps],
        "epochs": [],
        "log": log,
        "best": None,
        "train_loss": result.training_loss,
        "accumulation": 1,
        "num_train_epochs": None,
        "rows": ROWS,
        "columns": ["positive", "anchor"],
        "matryoshka_dims": dimensions,
        "batch_sampler": "no_duplicates, order of 5.7",
    }


def final_weights(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """All weights, by the names of the file; of an embedding table only the rows that training changed."""
    values = {}
    for name, old in before.items():
        # Names of TensorFlow, which transformers writes where it has read them.
        new = after[name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")]
        changed = (new != old).reshape(len(old), -1).any(dim=1).nonzero()[:, 0]
        if name.endswith(("embeddings.weight", "embedding.weight")) and len(changed) < len(old):
            values[f"rows.{name}"] = changed.to(torch.int32)
            values[f"weights.{name}"] = new[changed].clone()
        else:
            values[f"weights.{name}"] = new.clone()
    return values
