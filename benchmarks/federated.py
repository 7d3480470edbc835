"""Federated unlearning against federated retraining: what each needs to reach the same accuracy on the retained classes.

python -m benchmarks.federated [--model bundled:digits-resnet20] [--data digits] [--forget 3] [--clients 10,100]
                               [--partitions iid,dirichlet:0.5,dirichlet:0.1] [--set where=last_convs,lr=0.1] [--seeds 0,1,2]

Both are done, and stop, at the first round after which the retained accuracy is within --slack of the original's; for
unlearning the forgotten class must be at or below --gone as well. Registration, statistics, plan and rounds all count; testing
doesn't. Both have the same clients, batch and local epochs (and --both), and are planned for ever more rounds (--plans,
--budgets), each with a schedule of its own: the first plan that gets there counts, the shorter ones that failed don't. Where
no retraining gets there, the ratio is a lower bound and marked so. Beside each stands the same course with as many channels
drawn at random: where it forgets as well, the fine-tuning did it and not the choice of channels. With --start-rounds the
original is trained by the same clients first, so that all three have seen the same images; without, it is the given model as
it is.
"""

import argparse
import contextlib
import copy
import itertools
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.record import print_table, save
from unlearn_core.checkpoints.model_files import fresh_model, open_model
from unlearn_core.data.classes import align_classes, class_index
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.federated.engine import run_engine
from unlearn_core.federated.job import Job, split_of, write_job
from unlearn_core.federated.request import PARAMS, FederatedRequest
from unlearn_core.params import build, plain
from unlearn_core.progress import RunCancelled
from unlearn_core.results.evaluation import tabulate, test_predictions
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.requests import Opening

PAPER = {"cifar10/resnet": 8.9, "cifar10/vgg": 7.9, "cifar100/resnet": 9.9, "cifar100/vgg": 8.4}
"""Wang et al., arXiv 2110.11794, abstract: times as fast as retraining."""

EXACT = {"k": 1, "epsilon": 0.0, "delta": 1e-5, "clip": 0.5}


def rungs_of(action, loaded, asked, params, forget, done=lambda rungs: False, privacy=EXACT, folder=None):
    """The ladder of one federated run in this process, stopped where `done` says so."""
    rungs = []

    def watch(progress):
        if progress.stage != "federated rounds":
            return
        rungs.append({k: v for k, v in progress.metrics.items() if k not in ("per_class", "keep", "epoch")})
        if done(rungs):
            raise RunCancelled

    request = build(FederatedRequest, {"action": action, **asked})
    model, card = loaded.model, loaded.card
    if action != "unlearn":
        model, card = fresh_model(card, request.seed), replace(card, facts={})
    with tempfile.TemporaryDirectory() as made, contextlib.suppress(RunCancelled):
        where = Path(folder or made)
        write_job(
            where, Job(request, build(PARAMS[action], params), privacy, forget), copy.deepcopy(model), card
        )
        run_engine("local", where, request.clients, request.seed, watch)
    return rungs


def main():
    args = arguments()
    dataset, loaded = open_both(Opening(args.model, args.data, device=args.device), lambda progress: None)
    forget = (class_index(dataset.classes, args.forget),)
    warm = {"data": args.data, "clients": 2, "rounds": 1, "device": args.device}
    rungs_of(
        "retrain", loaded, warm, {}, forget
    )  # what is imported once would count for the first cell alone
    cells = []
    each = (args.clients.split(","), args.partitions.split(","), args.seeds.split(","))
    for clients, partition, seed in itertools.product(*each):
        asked = {
            "data": args.data,
            "clients": int(clients),
            "partition": partition,
            "local_epochs": args.local_epochs,
            "device": args.device,
            "seed": int(seed),
        }
        cells.append(cell(args, loaded, asked, forget))
        print_table([shown(cells[-1])], header=len(cells) == 1)
        name = f"federated-speedup-{loaded.card.name}{args.suffix}"
        save(name, {"arguments": vars(args), "paper": PAPER, "cells": cells})
    print_table([over_seeds(alike) for alike in grouped(cells)])


def grouped(cells):
    """The cells of each federation, that differ in their seeds alone."""
    by_kind = {}
    for each in cells:
        by_kind.setdefault((each["clients"], each["partition"]), []).append(each)
    return list(by_kind.values())


def over_seeds(cells):
    """Medians of the ratios over the seeds whose unlearning got there."""
    there = [c for c in cells if c["unlearned"]]
    rounds = sorted((c["ratios"]["round"], not c["reached"]) for c in there)
    left = [c["random channels"][-1]["forget_test_accuracy"] for c in cells]
    return {
        "clients": cells[0]["clients"],
        "partition": cells[0]["partition"],
        "seeds": len(cells),
        "got there": len(there),
        **{name: middle(there, name) for name in ("round", "bytes", "seconds")},
        "rounds, each": ", ".join(f"{'> ' * bound}{ratio:.1f}" for ratio, bound in rounds),
        "random channels leave": f"{min(left):.1%} to {max(left):.1%}",
    }


def middle(cells, name):
    """The median of a ratio; ">" where a lower bound may hold it down."""
    if not cells:
        return ""
    median = statistics.median(c["ratios"][name] for c in cells)
    bound = any(not c["reached"] and c["ratios"][name] <= median for c in cells)
    return f"{'> ' * bound}{median:.1f}"


def cell(args, loaded, asked, forget):
    """One federation: the original's accuracy, and the ladders of unlearning and retraining."""
    shared = {"batch_size": args.batch_size, **pairs_in(args.both)}
    with tempfile.TemporaryDirectory() as made:
        if args.start_rounds:
            course = {**asked, "rounds": args.start_rounds}
            rungs_of("train", loaded, course, {**shared, "lr": args.retrain_lr}, (), folder=made)
            loaded = open_model(Path(made) / "model.safetensors")
        original = accuracy(loaded, asked, forget)
    goal = original["retain_test_accuracy"] - args.slack

    def kept(rungs):
        return rungs[-1]["round"] > 0 and rungs[-1]["retain_test_accuracy"] >= goal

    def forgotten(rungs):
        return kept(rungs) and rungs[-1]["forget_test_accuracy"] <= args.gone

    changed = {**shared, **pairs_in(args.set)}
    attempts = planned(args.plans, forgotten, "unlearn", loaded, asked, changed, forget)
    ours = attempts[-1]["rungs"]
    alike = {**asked, "rounds": attempts[-1]["planned"]}
    chance = rungs_of(
        "unlearn",
        loaded,
        alike,
        {**changed, "direction": "random"},
        forget,
        lambda rungs: rungs[-1]["round"] == ours[-1]["round"],
    )
    anew = {**shared, "lr": args.retrain_lr}
    plans = planned(args.budgets, kept, "retrain", loaded, asked, anew, forget)
    theirs = plans[-1]["rungs"]
    return {
        "clients": asked["clients"],
        "partition": asked["partition"],
        "seed": asked["seed"],
        "original": original,
        "unlearned": forgotten(ours),
        "reached": kept(theirs),
        "ratios": {name: theirs[-1][name] / ours[-1][name] for name in ("round", "seconds", "bytes")},
        "settings": plain(build(PARAMS["unlearn"], changed)),
        "unlearning": attempts,
        "random channels": chance,
        "retraining": plans,
    }


def pairs_in(text):
    """Settings as the command line gives them: NAME=VALUE, with commas between."""
    return dict(pair.split("=") for pair in filter(None, text.split(",")))


def planned(budgets, done, action, loaded, asked, params, forget):
    """Runs planned for ever more rounds, as far as the first that gets there."""
    attempts = []
    for budget in map(int, budgets.split(",")):
        rungs = rungs_of(action, loaded, {**asked, "rounds": budget}, params, forget, done)
        attempts.append({"planned": budget, "rungs": rungs})
        if done(rungs):
            break
    return attempts


def accuracy(loaded, asked, forget):
    """Test accuracy of the original model, as the ladder tells it."""
    dataset = align_classes(open_dataset(parse_dataset(asked["data"])), loaded.card.classes)
    split = split_of(dataset, forget)
    tested = tabulate(split, test_predictions(loaded.model, split))
    return {name: getattr(tested, name) for name in ("forget_test_accuracy", "retain_test_accuracy")}


def shown(told):
    """A cell as a row of the table."""
    (ours, our_plan), (theirs, their_plan) = (
        (told[name][-1]["rungs"][-1], told[name][-1]["planned"]) for name in ("unlearning", "retraining")
    )
    chance = told["random channels"][-1]
    bound = "" if told["reached"] else "> "
    return {
        "clients": told["clients"],
        "partition": told["partition"],
        "seed": told["seed"],
        "original": f"{told['original']['retain_test_accuracy']:.1%}",
        "unlearned forget/retain": f"{ours['forget_test_accuracy']:.1%} / {ours['retain_test_accuracy']:.1%} (of {our_plan})"
        + ("" if told["unlearned"] else " (not there)"),
        "random channels": f"{chance['forget_test_accuracy']:.1%} / {chance['retain_test_accuracy']:.1%}",
        "retrained": f"{theirs['retain_test_accuracy']:.1%} (of {their_plan})",
        "rounds": f"{ours['round']} : {theirs['round']} = {bound}{told['ratios']['round']:.1f}",
        "seconds": f"{ours['seconds']:.0f} : {theirs['seconds']:.0f} = {bound}{told['ratios']['seconds']:.1f}",
        "MB": f"{ours['bytes'] / 1e6:.0f} : {theirs['bytes'] / 1e6:.0f} = {bound}{told['ratios']['bytes']:.1f}",
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="bundled:digits-resnet20")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--forget", default="3")
    parser.add_argument("--clients", default="10,100")
    parser.add_argument("--partitions", default="iid,dirichlet:0.5,dirichlet:0.1")
    parser.add_argument(
        "--plans", default="1,2,3,4,5,7,10", help="rounds that unlearning is planned for, in turn"
    )
    parser.add_argument(
        "--budgets", default="10,15,20,25,30,40,60,80", help="rounds that retraining is planned for, in turn"
    )
    parser.add_argument("--local-epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--set", default="", help="settings of the unlearning that differ from its defaults")
    parser.add_argument(
        "--both", default="", help="settings of unlearning, retraining and the original alike"
    )
    parser.add_argument("--retrain-lr", type=float, default=0.1)
    parser.add_argument("--start-rounds", type=int, default=0, help="rounds of training the original first")
    parser.add_argument(
        "--slack", type=float, default=0.01, help="retained accuracy may fall short of the original's by this"
    )
    parser.add_argument(
        "--gone", type=float, default=0.05, help="test accuracy at which the class counts as forgotten"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--seeds", default="0", help="of partition, draws and new networks, with commas between"
    )
    parser.add_argument("--suffix", default="", help="of the name of the file of results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
