"""Makes train.jsonl and trace.json: sentence-transformers' trainer with CosineSimilarityLoss on labelled pairs, tiny-bert.

Made with sentence-transformers 5.7.0, transformers 5.24.0, torch 2.15 on a CPU: python make.py
The label stands between the texts, since its place must not matter.
"""

import json
import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer import losses

HERE = Path(__file__).parent
TINY = HERE.parents[4] / "crates/testkit/models/tiny-bert"
TOPICS = ["revenue of the segment", "costs of the pension plan", "interest on the notes", "tax of prior years"]


def rows():
    """Pairs of one topic are alike, the others not, with some in between."""
    for i in range(26):
        first, second = TOPICS[i % 4], TOPICS[(i * i + i // 4) % 4]
        score = [0.1, 0.9][first == second] if i % 5 else 0.5
        yield {"sentence1": f"What is the {first} in {2000 + i}?", "score": score, "sentence2": f"The {second} was {i * 7} million."}


class Recording(losses.CosineSimilarityLoss):
    def __init__(self, model, trace):
        super().__init__(model)
        self.trace = trace

    def compute_loss_from_embeddings(self, embeddings, labels):
        loss = super().compute_loss_from_embeddings(embeddings, labels)
        self.trace.append({"loss": loss.item(), "labels": labels.tolist()})
        return loss


def main():
    data = list(rows())
    (HERE / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in data))
    model = SentenceTransformer(str(TINY), device="cpu")
    trace = []
    with tempfile.TemporaryDirectory() as scratch:
        args = SentenceTransformerTrainingArguments(output_dir=scratch, num_train_epochs=2, per_device_train_batch_size=6, learning_rate=1e-3,
                                                    save_strategy="no", report_to="none", seed=42, use_cpu=True)
        SentenceTransformerTrainer(model=model, args=args, train_dataset=Dataset.from_list(data), loss=Recording(model, trace)).train()
    texts = [data[0]["sentence1"], data[1]["sentence2"]]
    (HERE / "trace.json").write_text(json.dumps({"batches": trace, "texts": texts, "embeddings": model.encode(texts).tolist()}) + "\n")


torch.set_num_threads(1)
main()
