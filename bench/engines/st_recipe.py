"""Runs the reference recipe with sentence-transformers, from opening the model to the best one saved.

Flags and output as engines/README.md says; the hyper-parameters are those of examples/finance/reference.toml.
"""

import json
import time

import st_common
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.evaluation import InformationRetrievalEvaluator, SequentialEvaluator


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def evaluator(folder, dims):
    """Retrieval at every width, one evaluator a width, as the published recipe does."""
    corpus = {row["_id"]: row["text"] for row in rows(folder / "corpus.jsonl")}
    queries = {row["_id"]: row["text"] for row in rows(folder / "queries.jsonl")}
    relevant = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, score = line.split("\t")
        if int(score) > 0:
            relevant.setdefault(query, set()).add(document)
    parts = [InformationRetrievalEvaluator(queries, corpus, relevant, name=f"dim_{dim}", truncate_dim=dim, batch_size=16)
             for dim in dims]
    return SequentialEvaluator(parts)


def arguments(args):
    return SentenceTransformerTrainingArguments(
        output_dir=str(args.output / "checkpoints"), num_train_epochs=args.epochs, per_device_train_batch_size=32,
        per_device_eval_batch_size=16, gradient_accumulation_steps=16, learning_rate=2e-5, lr_scheduler_type="cosine",
        warmup_steps=0.1, batch_sampler="no_duplicates", seed=42, eval_on_start=True, eval_strategy="epoch",
        save_strategy="epoch", save_total_limit=3, logging_steps=10, load_best_model_at_end=True,
        metric_for_best_model="eval_dim_128_cosine_ndcg@10", report_to="none", use_cpu=True, disable_tqdm=True,
        bf16=args.precision == "bf16",
    )


def main():
    args = st_common.flags(__doc__, epochs=int)
    start = time.perf_counter()
    model, loss, data, dims = st_common.open_all(args, args.data / "train.jsonl")
    measure = evaluator(args.data / "eval", dims)
    trainer = SentenceTransformerTrainer(model=model, args=arguments(args), train_dataset=data, loss=loss, evaluator=measure)
    trainer.train()
    model.save_pretrained(str(args.output / "model"))
    seconds = time.perf_counter() - start
    history = [row["eval_dim_128_cosine_ndcg@10"] for row in trainer.state.log_history if "eval_dim_128_cosine_ndcg@10" in row]
    print(json.dumps({"seconds": seconds, "steps": trainer.state.global_step, "ndcg_dim_128": history, "ndcg_last": history[-1]}))


main()
