"""What the federation itself costs: in this process over the centralised run, with more clients, and as real processes.

python -m benchmarks.federated_cost overhead   [--model bundled:digits-vgg11]   both roads over the same work, turn by turn
python -m benchmarks.federated_cost clients    [--counts 10,100,1000]              time and memory, a process for each count
python -m benchmarks.federated_cost deployment [--counts 4]                        seconds of an exchange over loopback
"""

import argparse
import copy
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import fields, replace
from pathlib import Path

import torch

from benchmarks.federated import EXACT, rungs_of
from benchmarks.record import print_table, save
from unlearn_core.channels.activations import collect
from unlearn_core.channels.surgery import remove
from unlearn_core.checkpoints.model_files import fresh_model
from unlearn_core.data.classes import class_index
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.federated.aggregation import add_stats
from unlearn_core.federated.client import example_for, retained_images
from unlearn_core.federated.engine import run_engine
from unlearn_core.federated.job import Job, write_job
from unlearn_core.federated.messages import client_seed
from unlearn_core.federated.outcome import read_outcome
from unlearn_core.federated.partition import draw, parse_partition
from unlearn_core.federated.request import PARAMS, FederatedRequest
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.recipe import Recipe, Stretch
from unlearn_core.models.training import fit
from unlearn_core.params import build
from unlearn_core.progress import silent
from unlearn_core.unlearning.registry import find_method
from unlearn_core.unlearning.task import Task
from unlearn_core.unlearning.tfidf_prune import plan_by
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.requests import Opening

BATCH = {"batch_size": 32}


def overhead(args):
    """Seconds of federated over centralised unlearning of the same images, as often.

    Two roads stand beside it: everything in one place, in batches over all images; and the clients' own batches, which
    are more where a part doesn't fill its last one, without a federation around them.
    """
    dataset, loaded = open_both(Opening(args.model, args.data, device="cpu"), silent)
    forget = (class_index(dataset.classes, args.forget),)
    split = split_dataset(dataset, ForgetSpec((args.forget,)))
    params = replace(build(PARAMS["unlearn"], BATCH), epochs=args.rounds)

    def central():
        task = Task(split, 0, silent, lambda name, model: {}, lambda seed: fresh_model(loaded.card, seed))
        model, began = copy.deepcopy(loaded.model), time.perf_counter()
        find_method("tfidf_prune").run(model, params, task)
        return time.perf_counter() - began

    def federated(clients):
        asked = {"data": args.data, "clients": clients, "rounds": args.rounds, "device": "cpu"}
        return rungs_of("unlearn", loaded, asked, BATCH, forget)[-1]["seconds"]

    counts = [int(n) for n in args.counts.split(",")]
    roads = {"centralised": central}
    for n in counts:
        roads[f"{n} clients, by hand"] = lambda n=n: by_hand(loaded.model, dataset, forget, params, n)
        roads[f"{n} clients"] = lambda n=n: federated(n)
    for road in roads.values():  # once for what is imported and cached
        road()
    seconds = {name: [] for name in roads}
    for _ in range(args.repeat):
        for name, road in roads.items():
            seconds[name].append(road())
    rows = [
        {
            "road": name,
            "seconds": round(statistics.median(taken), 2),
            "to centralised": ratio(taken, seconds["centralised"]),
            "to by hand": ratio(taken, seconds.get(f"{name}, by hand")),
        }
        for name, taken in seconds.items()
    ]
    print_table(rows)
    save(
        f"federated-overhead-{loaded.card.name}", {"arguments": vars(args), "rows": rows, "seconds": seconds}
    )


def by_hand(model, dataset, forget, params, clients):
    """Seconds of the clients' own work, one after the other, with nothing sent, checked or counted."""
    labels = dataset.train.labels.numpy()
    dealt = draw(labels, clients, parse_partition("iid"), seed=0)
    parts = [dataset.train.select(torch.from_numpy(part)) for part in dealt]
    kept = [retained_images(part, list(forget)) for part in parts]
    began, example = time.perf_counter(), example_for(model, dataset.test.images)
    stats = add_stats([collect(model, part, dataset.classes, tap=params.tap) for part in parts])
    plan = plan_by(lambda silence: stats, model, example, params, forget, 0)
    shared = Classifier(remove(model.net, plan, example), model.normalization).eval()
    recipe = {**{f.name: getattr(params, f.name) for f in fields(Recipe)}, "epochs": 1}
    for number in range(params.epochs):
        stretch = Stretch(**recipe, before=number, in_all=params.epochs)
        states = []
        for client, images in enumerate(kept):
            own = copy.deepcopy(shared)
            fit(own, images, stretch, seed=client_seed(0, number + 1, client))
            states.append(own.net.state_dict())
        shares = torch.tensor([len(images) for images in kept]) / sum(map(len, kept))
        mean = {
            name: sum(share * state[name].double() for share, state in zip(shares, states, strict=True))
            for name in states[0]
        }
        shared.net.load_state_dict(mean)
    return time.perf_counter() - began


def ratio(taken, others):
    """Median of the ratios turn by turn, so that what else the machine does falls on both; empty without the other."""
    return round(statistics.median(t / o for t, o in zip(taken, others, strict=True)), 3) if others else ""


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
    dataset, loaded = open_both(Opening(args.model, args.data, device="cpu"), silent)
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
    dataset, loaded = open_both(Opening(args.model, args.data, device="cpu"), silent)
    forget, count = (class_index(dataset.classes, args.forget),), int(args.counts.split(",")[0])
    settings = {"data": args.data, "clients": count, "rounds": args.rounds, "device": "cpu"}
    request, params = build(FederatedRequest, settings), build(PARAMS["unlearn"], BATCH)
    rows = []
    # As every run has it that the app or the command line starts.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for engine in ("local", "flower"):
        with tempfile.TemporaryDirectory() as made:
            write_job(Path(made), Job(request, params, EXACT, forget), loaded.model, loaded.card)
            began = time.perf_counter()
            run_engine(engine, Path(made), count, 0, silent)
            wall = time.perf_counter() - began
            exchanges = read_outcome(Path(made)).exchanges
        rows += [{"engine": engine, "exchange": e.kind, "seconds": e.seconds} for e in exchanges]
        rest = round(wall - sum(e.seconds for e in exchanges), 1)
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
