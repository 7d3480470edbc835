"""Retrains a bundled model without each class and stores what came of it, for Before/after and the controls table.

python -m benchmarks.references [--model bundled:digits-resnet20] [--data digits] [--classes all]
python -m benchmarks.references [...] --time

Ten trainings take hours where images are many, and other work runs beside them. With --time one epoch is measured alone, with
the threads that the app takes, and every stored time becomes that times the epochs.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.record import machine
from unlearn_core.checkpoints.catalog import ASSETS
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.progress import silent
from unlearn_core.results.plain import to_plain
from unlearn_core.store.files import plain_json, write_text
from unlearn_core.unlearning.registry import find_method
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.parts import Parts
from unlearn_core.workflows.requests import Opening
from unlearn_core.workflows.unlearn import method_params


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:digits-resnet20")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--classes", default="all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--time", action="store_true", help="measure an epoch, and give stored times by it")
    args = parser.parse_args()
    dataset, loaded = open_both(Opening(args.model, args.data, device=args.device), silent)
    path = ASSETS / "references" / f"{loaded.digest[:16]}.json"
    retrain = find_method("retrain")
    if args.time:
        time_again(path, loaded, split_dataset(dataset, ForgetSpec((dataset.classes[0],))), retrain)
        return
    for name in dataset.classes if args.classes == "all" else args.classes.split(","):
        split = split_dataset(dataset, ForgetSpec((name,)))
        with tempfile.TemporaryDirectory() as folder:
            part = Parts(Path(folder), loaded, split, 0, silent).run(
                retrain, method_params(retrain, {}, loaded.card)
            )
        # Read and written after every class: a stopped command goes on with `--classes`, and two can share the work.
        stored = json.loads(path.read_text()) if path.is_file() else {"retrain": {}}
        stored |= {
            "model": loaded.card.name,
            "machine": machine(),
            "command": f"python -m benchmarks.references --model {args.model} --data {dataset.spec.name}",
        }
        stored["retrain"][split.digest] = to_plain(replace(part, forgot=(name,)))
        write_text(path, json.dumps(plain_json(stored)) + "\n")
        print(f"{name}: retain {part.evaluation.retain_test_accuracy:.1%}, {part.seconds:.0f} s", flush=True)


def time_again(path, loaded, split, retrain):
    """Gives all stored times by one epoch that is measured now."""
    stored = json.loads(path.read_text())
    with tempfile.TemporaryDirectory() as folder:
        params = method_params(retrain, {"epochs": 1}, loaded.card)
        epoch = Parts(Path(folder), loaded, split, 0, silent).run(retrain, params).seconds
    for part in stored["retrain"].values():
        part["seconds"] = round(epoch * part["params"]["epochs"], 1)
        for number, rung in enumerate(part["ladder"], start=1):
            rung["seconds"] = round(epoch * number, 1)
    stored |= {"machine": machine(), "timed": f"one epoch of {epoch:.1f} s, measured alone, times the epochs"}
    write_text(path, json.dumps(plain_json(stored)) + "\n")
    print(stored["timed"])


if __name__ == "__main__":
    main()
