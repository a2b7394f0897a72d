"""Takes optimizer steps with sentence-transformers in f32 or under bf16 autocast; flags and output as engines/README.md says."""

import json
import time

import sentence_transformers
import st_common
import torch
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from transformers import TrainerCallback


class StepEnds(TrainerCallback):
    """When each step was over."""

    def __init__(self):
        self.ends = []

    def on_step_end(self, *_, **__):
        self.ends.append(time.perf_counter())


def main():
    args = st_common.flags(__doc__, steps=int, batch=int, warm_up=int)
    model, loss, data, _ = st_common.open_all(args, args.data)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(args.output), max_steps=args.warm_up + args.steps, per_device_train_batch_size=args.batch, learning_rate=2e-5,
        batch_sampler="no_duplicates", save_strategy="no", eval_strategy="no", report_to="none", use_cpu=True, seed=42,
        disable_tqdm=True, bf16=args.precision == "bf16",
    )
    steps = StepEnds()
    trainer = SentenceTransformerTrainer(model=model, args=arguments, train_dataset=data, loss=loss, callbacks=[steps])
    result = trainer.train()
    versions = {"sentence-transformers": sentence_transformers.__version__, "torch": torch.__version__}
    seconds = steps.ends[-1] - steps.ends[args.warm_up - 1]
    report = {"seconds": seconds, "steps": args.steps, "train_loss": result.training_loss}
    print(json.dumps(report | {"versions": versions}))


main()
