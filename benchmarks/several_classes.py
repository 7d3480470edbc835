"""How several classes are best forgotten at once by TF-IDF pruning: one budget for all, or one class after the other.

python -m benchmarks.several_classes --model bundled:digits-vgg11 --data digits [--most 5] [--images 4000]
"""

import argparse
import copy

import torch

from benchmarks.record import print_table, save
from unlearn_core.channels.pruning import COMBINATIONS
from unlearn_core.checkpoints.model_files import fresh_like
from unlearn_core.data.sets import Dataset
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.params import build
from unlearn_core.progress import silent
from unlearn_core.results.evaluation import evaluate
from unlearn_core.unlearning.registry import find_method
from unlearn_core.unlearning.task import Task
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.requests import Opening

ORDER = (3, 7, 1, 8, 5)
"""The classes to forget: the first one, the first two, and so on."""


def forgotten(loaded, dataset, method, count, values):
    """The evaluation after forgetting the first `count` classes, and the share of channels pruned."""
    split = split_dataset(dataset, ForgetSpec(tuple(dataset.classes[k] for k in ORDER[:count])))
    task = Task(split, 0, silent, lambda rung, model: {}, lambda seed: fresh_like(loaded, seed))
    chosen = find_method(method)
    outcome = chosen.run(copy.deepcopy(loaded.model), build(chosen.params, values), task)
    return evaluate(outcome.model, split), outcome.plan.total if outcome.plan else 0


def part_of(dataset, images):
    """The data set with that many training images, drawn once; all where `images` is 0."""
    if not images:
        return dataset
    positions = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(0))[:images]
    return Dataset(
        dataset.spec, dataset.classes, dataset.train.select(positions), dataset.test, dataset.digest, ()
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:digits-vgg11")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--most", type=int, default=5, help="classes at most")
    parser.add_argument("--images", type=int, default=0, help="training images to take; 0 takes all")
    parser.add_argument("--retrain", action="store_true", help="retraining beside it")
    args = parser.parse_args()
    dataset, loaded = open_both(Opening(args.model, args.data, device="auto"), silent)
    dataset = part_of(dataset, args.images)
    rows = []
    for count in range(1, args.most + 1):
        plans = [(m, {"combine": c}) for m in ("tfidf_prune", "random_prune") for c in COMBINATIONS]
        plans += [("fine_tune", {"lr": 0.03, "epochs": 3, "schedule": "cosine"})]
        plans += [("retrain", dict(loaded.card.facts.get("recipe", {})))] if args.retrain else []
        for method, values in plans:
            if count == 1 and values.get("combine") == "sequential":
                continue
            tested, channels = forgotten(loaded, dataset, method, count, values)
            rows.append(
                {
                    "classes": count,
                    "method": method,
                    "combine": values.get("combine", ""),
                    "channels": channels,
                    **{
                        n: getattr(tested, n)
                        for n in ("ua", "ra", "ta", "forget_test_accuracy", "retain_test_accuracy")
                    },
                }
            )
            print_table(
                [{k: f"{v:.1%}" if isinstance(v, float) else v for k, v in rows[-1].items()}],
                header=len(rows) == 1,
            )
    save(f"several-classes-{loaded.card.name}", {"arguments": vars(args), "rows": rows})


if __name__ == "__main__":
    main()
