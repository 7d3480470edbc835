"""Which settings of TF-IDF pruning forget a class and keep it forgotten: the measurements behind the defaults.

python -m benchmarks.defaults --model bundled:digits-resnet20 --data digits --classes 3,8
"""

import argparse
import copy
import itertools

from benchmarks.record import print_table, save
from unlearn_core.checkpoints.model_files import fresh_model
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.params import build
from unlearn_core.progress import silent
from unlearn_core.results.evaluation import tabulate, test_predictions
from unlearn_core.unlearning.registry import find_method
from unlearn_core.unlearning.task import Task
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.requests import Opening


def ladder(loaded, dataset, method, target, params):
    """Forget and retain test accuracy at every rung, for one class to forget."""
    split = split_dataset(dataset, ForgetSpec((target,)))
    rungs = []

    def observe(rung, model):
        tested = tabulate(split, test_predictions(model, split))
        rungs.append((rung, tested.forget_test_accuracy, tested.retain_test_accuracy))
        return {}

    task = Task(split, 0, silent, observe, lambda seed: fresh_model(loaded.card, seed))
    find_method(method).run(copy.deepcopy(loaded.model), build(find_method(method).params, params), task)
    return rungs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:digits-resnet20")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--classes", default="3,8")
    parser.add_argument("--ratios", default="0.1,0.2,0.3,0.5")
    parser.add_argument("--places", default="last_stage,last_convs,inner")
    parser.add_argument("--rates", default="0.01,0.02,0.05")
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    dataset, loaded = open_both(Opening(args.model, args.data, device="auto"), silent)
    grid = list(itertools.product(args.places.split(","), args.ratios.split(","), args.rates.split(",")))
    rows = []
    for where, ratio, lr in grid:
        values = {"where": where, "ratio": ratio, "lr": lr, "epochs": args.epochs}
        for name, method in (("tfidf_prune", "tfidf_prune"), ("random_prune", "random_prune")):
            ladders = [ladder(loaded, dataset, method, t, values) for t in args.classes.split(",")]
            rows.append({"method": name, **values, "ladder": _mean(ladders)})
            print_table([_row(rows[-1])], header=len(rows) == 1)
    for lr in args.rates.split(","):
        values = {"lr": lr, "epochs": args.epochs, "schedule": "cosine"}
        ladders = [ladder(loaded, dataset, "fine_tune", t, values) for t in args.classes.split(",")]
        rows.append({"method": "fine_tune", "where": "", "ratio": "", **values, "ladder": _mean(ladders)})
        print_table([_row(rows[-1])])
    save(f"defaults-{loaded.card.name}", {"arguments": vars(args), "rows": rows})


def _mean(ladders):
    """Mean over the classes to forget, rung by rung."""
    return [
        {
            "rung": rungs[0][0],
            "forget": sum(r[1] for r in rungs) / len(rungs),
            "retain": sum(r[2] for r in rungs) / len(rungs),
        }
        for rungs in zip(*ladders, strict=True)
    ]


def _row(row):
    cells = {k: row[k] for k in ("method", "where", "ratio", "lr")}
    return {**cells, **{r["rung"]: f"{r['forget']:.1%} / {r['retain']:.1%}" for r in row["ladder"]}}


if __name__ == "__main__":
    main()
