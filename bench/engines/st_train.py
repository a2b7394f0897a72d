"""Trains with sentence-transformers as matryo's `bench.py` asks and prints {"seconds", "steps", "train_loss"}.

usage: st_train.py MODEL TRAIN.jsonl OUTPUT_DIR THREADS STEPS BATCH DIMS(comma separated)
"""

import json
import sys

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments, losses

model_folder, source, target, threads, steps, batch, dims = sys.argv[1:]
torch.set_num_threads(int(threads))
with open(source, encoding="utf-8") as lines:
    rows = [json.loads(line) for line in lines]
data = Dataset.from_dict({name: [row[name] for row in rows] for name in ("positive", "anchor")})
model = SentenceTransformer(model_folder, device="cpu")
loss = losses.MatryoshkaLoss(model, losses.MultipleNegativesRankingLoss(model), [int(dim) for dim in dims.split(",")])
arguments = SentenceTransformerTrainingArguments(
    output_dir=target, max_steps=int(steps), per_device_train_batch_size=int(batch), learning_rate=2e-5, batch_sampler="no_duplicates",
    save_strategy="no", eval_strategy="no", report_to="none", use_cpu=True, seed=42, disable_tqdm=True,
)
result = SentenceTransformerTrainer(model=model, args=arguments, train_dataset=data, loss=loss).train()
print(json.dumps({"seconds": result.metrics["train_runtime"], "steps": result.global_step, "train_loss": result.training_loss}))
