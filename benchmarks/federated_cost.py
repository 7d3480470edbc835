"""What the federation itself costs: in this process over the centralised run, with more clients, and as real processes.

python -m benchmarks.federated_cost overhead   [--model bundled:digits-vgg11]   both roads over the same work, turn by turn
python -m benchmarks.federated_cost clients    [--counts 10,100,1000]              time and memory, a process for each count
python -m benchmarks.federated_cost deployment [--counts 4]                        seconds of an exchange over loopback
"""

import argparse
import copy
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.federated import EXACT, rungs_of
from benchmarks.record import print_table, save
from unlearn_core.checkpoints import fresh_model
from unlearn_core.data import ForgetSpec, class_index, split_dataset
from unlearn_core.federated import OUTCOME, PARAMS, FederatedRequest, Job, run_engine, write_job
from unlearn_core.params import build
from unlearn_core.progress import silent
from unlearn_core.unlearning import Task, find_method
from unlearn_core.workflows import open_both

BATCH = {"batch_size": 32}


def overhead(args):
    """Seconds of federated over centralised unlearning of the same images, as often, in the same batches."""
    dataset, loaded = open_both(args.data, args.model, "", "auto", "cpu", silent)
    forget = (class_index(dataset.classes, args.forget),)
    split = split_dataset(dataset, ForgetSpec((args.forget,)))

    def central():
        params = build(
            find_method("tfidf_prune").params, {**BATCH, "epochs": args.rounds, "images_per_class": 0}
        )
        task = Task(split, 0, silent, lambda name, model: {}, lambda seed: fresh_model(loaded.card, seed))
        model, began = copy.deepcopy(loaded.model), time.perf_counter()
        find_method("tfidf_prune").run(model, params, task)
        return time.perf_counter() - began

    def federated(clients):
        asked = {"data": args.data, "clients": clients, "rounds": args.rounds, "device": "cpu"}
        return rungs_of("unlearn", loaded, asked, BATCH, forget)[-1]["seconds"]

    roads = {"centralised": central} | {
        f"{n} clients": (lambda n=int(n): federated(n)) for n in args.counts.split(",")
    }
    for road in roads.values():  # once for what is imported and cached
        road()
    seconds = {name: [] for name in roads}
    for _ in range(args.repeat):
        for name, road in roads.items():
            seconds[name].append(road())
    # Turn by turn, so that what else the machine does falls on both; the ratio of each turn, not of the sums.
    rows = [
        {
            "road": name,
            "seconds": round(statistics.median(taken), 2),
            "ratio": round(
                statistics.median(t / c for t, c in zip(taken, seconds["centralised"], strict=True)), 3
            ),
        }
        for name, taken in seconds.items()
    ]
    print_table(rows)
    save(
        f"federated-overhead-{loaded.card.name}", {"arguments": vars(args), "rows": rows, "seconds": seconds}
    )


def clients(args):
    """Seconds and peak memory of statistics and one round, by the number of clients."""
    rows = []
    for count in args.counts.split(","):
        command = [sys.executable, "-m", "benchmarks.federated_cost", "one", "--model", args.model]
        command += ["--data", args.data, "--forget", args.forget, "--counts", count]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.strip().splitlines()[-1]))
        print_table([rows[-1]], header=len(rows) == 1)
        save(f"federated-clients-{args.model.rpartition(':')[2]}", {"arguments": vars(args), "rows": rows})


def one(args):
    """One process of `clients`."""
    dataset, loaded = open_both(args.data, args.model, "", "auto", "cpu", silent)
    forget, count = (class_index(dataset.classes, args.forget),), int(args.counts)
    rungs_of(
        "retrain", loaded, {"data": args.data, "clients": 1, "rounds": 1, "device": "cpu"}, BATCH, forget
    )
    base = _peak()
    asked = {"data": args.data, "clients": count, "rounds": 1, "device": "cpu"}
    pruned, trained = rungs_of("unlearn", loaded, asked, BATCH, forget)
    print(
        json.dumps(
            {
                "clients": count,
                "statistics s": round(pruned["seconds"], 2),
                "round s": round(trained["seconds"] - pruned["seconds"], 2),
                "MB sent": round(trained["bytes"] / 1e6, 1),
                "peak MB": round(_peak()),
                "peak MB before": round(base),
            }
        )
    )


def deployment(args):
    """Seconds of each exchange between real processes over loopback, beside those in one process."""
    dataset, loaded = open_both(args.data, args.model, "", "auto", "cpu", silent)
    forget, count = (class_index(dataset.classes, args.forget),), int(args.counts.split(",")[0])
    settings = {"data": args.data, "clients": count, "rounds": args.rounds, "device": "cpu"}
    request, params = build(FederatedRequest, settings), build(PARAMS["unlearn"], BATCH)
    rows = []
    for engine in ("local", "flower"):
        with tempfile.TemporaryDirectory() as made:
            write_job(Path(made), Job(request, params, EXACT, forget), loaded.model, loaded.card)
            began = time.perf_counter()
            run_engine(engine, Path(made), count, 0, silent)
            wall = time.perf_counter() - began
            told = json.loads((Path(made) / OUTCOME).read_text())["exchanges"]
        rows += [{"engine": engine, "exchange": e["kind"], "seconds": e["seconds"]} for e in told]
        rest = round(wall - sum(e["seconds"] for e in told), 1)
        rows.append({"engine": engine, "exchange": "all else: starting, testing, ending", "seconds": rest})
    print_table(rows)
    save(
        f"federated-deployment-{loaded.card.name}", {"arguments": vars(args), "clients": count, "rows": rows}
    )


def _peak():
    """Most memory that this process has had, in MB."""
    told = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return told / (1e6 if sys.platform == "darwin" else 1e3)


MEASURES = {"overhead": overhead, "clients": clients, "one": one, "deployment": deployment}
COUNTS = {"overhead": "1,10", "clients": "10,100,300,1000", "one": "10", "deployment": "4"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measure", choices=tuple(MEASURES))
    parser.add_argument("--model", default="bundled:digits-vgg11")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--forget", default="3")
    parser.add_argument("--counts", help="numbers of clients, with commas between")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    args.counts = args.counts or COUNTS[args.measure]
    MEASURES[args.measure](args)


if __name__ == "__main__":
    main()
