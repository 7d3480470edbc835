"""Every method and every sparsifier once through the command line, on a model and data at hand: does each run, and end well?

python -m benchmarks.every_method --model resnet20-12fca82f.th --data cifar10:ROOT [--forget cat] [--epochs 1] [--sparsity 0.9]

One short epoch each, so the numbers say that a method works on this model, not how well it does. A whole class, then a
random tenth where the method can forget one, then each sparsifier with fine-tuning on what it made. Runs are kept in a home
of their own, which goes at the end.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.record import print_table, save
from unlearn_core.params import settings_of
from unlearn_core.sparsify.registry import SPARSIFIERS
from unlearn_core.unlearning.registry import METHODS


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--forget", default="cat")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--sparsity", type=float, default=0.9)
    args = parser.parse_args()
    shared = ["--data", args.data, "--device", "cpu"]
    rows = []
    with tempfile.TemporaryDirectory() as home:

        def done(what, command, model=args.model):
            rows.append({"what": what, **told(home, [*command, "--model", model, *shared])})
            print_table([rows[-1]], header=len(rows) == 1)
            save(f"every-method-{Path(args.model).stem}", {"arguments": vars(args), "rows": rows})

        for name, method in METHODS.items():
            unlearn = ["unlearn", "--method", name, "--controls", "none", *short(method.params, args.epochs)]
            done(f"{name}, class", [*unlearn, "--forget", args.forget])
            if not method.whole_classes:
                done(f"{name}, 10 %", [*unlearn, "--fraction", "0.1"])
        tune = ["unlearn", "--method", "fine_tune", "--controls", "none", "--forget", args.forget]
        for name, sparsifier in SPARSIFIERS.items():
            made = str(Path(home) / f"{name}.safetensors")
            sparsify = ["sparsify", "--sparsifier", name, "--sparsity", str(args.sparsity), "--out", made]
            done(name, [*sparsify, *short(sparsifier.params, args.epochs)])
            done(f"{name}, then fine_tune", [*tune, "--epochs", str(args.epochs)], made)


def short(params, epochs):
    """The flag for so many epochs, where there is such a setting."""
    return ["--epochs", str(epochs)] if "epochs" in {s.name for s in settings_of(params)} else []


def told(home, command):
    """How a command ended, and what it measured."""
    began = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", "unlearn_core", *command, "--json"],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "LETHE_HOME": home},
    )
    wall = round(time.perf_counter() - began, 1)
    if ended.returncode:
        return {
            **dict.fromkeys(("ua", "ra", "ta", "seconds"), ""),
            "wall": wall,
            "said": ended.stderr.strip()[-200:],
        }
    result = json.loads(ended.stdout)
    after = result["after"]
    return {
        **{k: percent(after.get(k)) for k in ("ua", "ra")},
        "ta": percent(after.get("ta", after["test_accuracy"])),
        "seconds": result.get("seconds"),
        "wall": wall,
        "said": "",
    }


def percent(share):
    """A share in per cent; empty where there is none."""
    return "" if share is None else f"{100 * share:.1f}"


if __name__ == "__main__":
    main()
