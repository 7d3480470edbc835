"""Seconds of pruning and fine-tuning against retraining from scratch to the same accuracy on the retained classes.

python -m benchmarks.speedup [--model bundled:digits-resnet20] [--data digits] [--forget 3] [--train-images N]

                            [--set images_per_class=30,tune_images=256,batch_size=32]

Unlearning counts everything it needs: scoring, planning, cutting and fine-tuning, up to the first epoch after which the
retained accuracy is within --slack of the original's and the forgotten class is at or below --gone. Retraining counts its
steps until it first reaches the retained accuracy that unlearning reached. Evaluation is left out of both. Where retraining
does not get there within its budget, the ratio is a lower bound and marked so. Both have their kernels compiled before the
clock starts, which takes as long as an epoch on digits and only once in a process.
"""

import argparse
import contextlib
import copy
import time

import torch

from benchmarks.record import print_table, save
from unlearn_core.checkpoints.catalog import scratch_recipe
from unlearn_core.checkpoints.model_files import fresh_model
from unlearn_core.data.sets import Dataset
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.params import build
from unlearn_core.progress import RunCancelled, silent
from unlearn_core.results.evaluation import tabulate, test_predictions
from unlearn_core.unlearning.registry import find_method
from unlearn_core.unlearning.task import Task
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.requests import Opening


class Watch:
    """Times a method's own work, and stops it when it has got where it should, or has had its time."""

    def __init__(self, split, done, budget):
        self.split, self.done, self.budget = split, done, budget
        self.rungs, self.spent = [], 0.0
        self.since = time.perf_counter()

    def __call__(self, rung, model):
        """Notes the accuracies at a rung; the clock stands still meanwhile."""
        self.spent += time.perf_counter() - self.since
        tested = tabulate(self.split, test_predictions(model, self.split))
        here = {
            "rung": rung,
            "seconds": self.spent,
            "forget": tested.forget_test_accuracy,
            "retain": tested.retain_test_accuracy,
        }
        self.rungs.append(here)
        print(here, flush=True)
        if self.done(here) or self.spent > self.budget:
            raise RunCancelled
        self.since = time.perf_counter()
        return {}


def run(loaded, split, method, params, done, budget):
    """The rungs of one method, up to the one that is enough."""
    watch = Watch(split, done, budget)
    task = Task(split, 0, silent, watch, lambda seed: fresh_model(loaded.card, seed))
    found = find_method(method)
    with contextlib.suppress(RunCancelled):
        found.run(copy.deepcopy(loaded.model), build(found.params, params), task)
    return watch.rungs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:digits-resnet20")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--forget", default="3")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--train-images", type=int, default=0, help="only the first so many training images; 0 takes all"
    )
    parser.add_argument(
        "--test-images", type=int, default=0, help="only the first so many test images; 0 takes all"
    )
    parser.add_argument(
        "--slack", type=float, default=0.01, help="retained accuracy may fall short of the original's by this"
    )
    parser.add_argument(
        "--gone", type=float, default=0.05, help="test accuracy at which the class counts as forgotten"
    )
    parser.add_argument("--set", default="", help="settings of tfidf_prune that differ from its defaults")
    parser.add_argument("--budget", type=float, default=1200, help="most seconds of retraining")
    parser.add_argument(
        "--epochs", type=int, default=0, help="epochs of the retraining schedule; 0 takes the card's"
    )
    args = parser.parse_args()
    dataset, loaded = open_both(Opening(args.model, args.data, device=args.device), silent)
    train, test = dataset.train, dataset.test
    if args.train_images:
        train = train.select(
            torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[: args.train_images]
        )
    if args.test_images:
        test = test.select(
            torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[: args.test_images]
        )
    dataset = Dataset(dataset.spec, dataset.classes, train, test, dataset.digest, dataset.notes)
    split = split_dataset(dataset, ForgetSpec((args.forget,)))
    original = tabulate(split, test_predictions(loaded.model, split))
    goal = original.retain_test_accuracy - args.slack

    def unlearned(here):
        return here["rung"] != "pruned" and here["retain"] >= goal and here["forget"] <= args.gone

    changed = dict(pair.split("=") for pair in filter(None, args.set.split(",")))
    for values in ({**changed, "epochs": 1, "tune_images": 256}, {"epochs": 1, "tune_images": 256}):
        run(loaded, split, "tfidf_prune", values, lambda here: False, args.budget)
    ours = run(loaded, split, "tfidf_prune", changed, unlearned, args.budget)
    reached = ours[-1]["retain"]
    recipe = scratch_recipe(loaded.card.facts)
    if args.epochs:
        recipe["epochs"] = args.epochs
    theirs = run(loaded, split, "retrain", recipe, lambda here: here["retain"] >= reached, args.budget)
    there = theirs[-1]["retain"] >= reached
    ratio = theirs[-1]["seconds"] / ours[-1]["seconds"]
    row = {
        "model": loaded.card.name,
        "train images": len(split.retain),
        "original retain": f"{original.retain_test_accuracy:.1%}",
        "unlearned forget / retain": f"{ours[-1]['forget']:.1%} / {reached:.1%}",
        "s": round(ours[-1]["seconds"], 1),
        "retrained retain": f"{theirs[-1]['retain']:.1%}",
        "retraining s": round(theirs[-1]["seconds"], 1),
        "times as fast": f"{'' if there else 'more than '}{ratio:.1f}",
    }
    print_table([row])
    save(
        f"speedup-{loaded.card.name}-{loaded.model.mean.device.type}",
        {
            "arguments": vars(args),
            **row,
            "unlearning": ours,
            "retraining": theirs,
            "ratio": ratio,
            "reached": there,
        },
    )


if __name__ == "__main__":
    main()
