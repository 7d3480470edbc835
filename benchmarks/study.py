"""Every method on one model, over seeds, dense and sparse: the study that Compare and Sparsity open without running anything.

python -m benchmarks.study [--model bundled:digits-vgg11] [--data digits] [--forget 3 | --fraction 0.1] [--seeds 5]
                           [--sparsities 0,0.95] [--methods all] [--schedules decreasing,constant --gammas 0.0005]

Each model is kept under --cache and each measurement in a file there: a stopped study goes on where it was. A stored study
grows: seeds that it holds aren't measured again, unless with --anew. Settings are the methods' defaults, but for
retraining and sparse training, which take the recipe in the model's card. On a CPU, seconds are those of the
processor, on one thread: others on the same machine hardly change them. On a GPU they are the clock's.
"""

import argparse
import datetime
import time
from pathlib import Path

import torch

from benchmarks.record import command_of, machine, print_table
from unlearn_core.checkpoints.model_files import open_model
from unlearn_core.data.classes import align_classes
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.experiments.study import Study, read_study, studies, write_study
from unlearn_core.experiments.trial import trials_of
from unlearn_core.home import home
from unlearn_core.models.inference import choose_device
from unlearn_core.params import plain
from unlearn_core.progress import silent
from unlearn_core.results.plain import to_plain
from unlearn_core.results.result import ForgetSet, UnlearnResult
from unlearn_core.running.kinds.registry import run_workflow
from unlearn_core.unlearning.provenance import how_chosen
from unlearn_core.unlearning.registry import METHODS, find_method
from unlearn_core.workflows.answers import to_retrain
from unlearn_core.workflows.ends import inputs_of
from unlearn_core.workflows.parts import Parts
from unlearn_core.workflows.unlearn import method_params

# A mask's share is measured, and misses what was asked for by a few weights.
SAME_SPARSITY = 0.002


def sparse_model(args, sparsity, seed):
    """The model at that sparsity and the seconds that making it took; made once for each seed."""
    if not sparsity:
        return args.model, None
    folder = args.cache / f"sparse-{_slug(args.model)}-{args.sparsifier}-{sparsity:g}-{seed}"
    if not (folder / "done").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "model": args.model,
            "data": args.data,
            "sparsifier": args.sparsifier,
            "seed": seed,
            "device": args.device,
        }
        request = {"settings": settings, "params": {"sparsity": sparsity, **args.recipe}}
        began = args.now()
        done = run_workflow("sparsify", request, folder, silent)
        (folder / "done").write_text(f"{args.now() - began:.3f}")
        print(f"{args.sparsifier} {sparsity:.0%}: {done['after']['test_accuracy']:.1%}", flush=True)
    return str(folder / "model.safetensors"), float((folder / "done").read_text())


def measured(args, sparsity, seed, variants):
    """The trials of all variants on one model, one split and one seed."""
    model, sparsifying = sparse_model(args, sparsity, seed)
    loaded = open_model(model, args.dataset, device=choose_device(args.device))
    facts = dict(loaded.card.facts)
    if sparsity:
        facts["sparsity"] = {**facts["sparsity"], "seconds": sparsifying}
    dataset = align_classes(args.dataset, loaded.card.classes)
    split = split_dataset(dataset, ForgetSpec(args.forget, args.fraction))
    sparse = f"{args.sparsifier}-{sparsity:g}" if sparsity else "dense"
    what = f"{_slug(args.model)}-{sparse}-{'-'.join(args.forget) or args.fraction}-{seed}"
    trials = []
    retrained = before = None
    for name, values in variants:
        slug = "-".join([name, *(f"{k}={v}" for k, v in values.items())])
        folder = args.cache / what / slug
        folder.mkdir(parents=True, exist_ok=True)
        shared = args.cache / what / "retrain" / "parts" / "retrain.npz"
        mine = folder / "parts" / "retrain.npz"
        if name != "retrain" and shared.is_file() and not mine.is_file():
            mine.parent.mkdir(exist_ok=True)
            mine.symlink_to(shared.resolve())
        parts = Parts(folder, loaded, split, seed, silent, args.now)
        method, started = find_method(name), time.perf_counter()
        params = method_params(method, {**(args.recipe if name == "retrain" else {}), **values}, loaded.card)
        try:
            main = parts.run(method, params)
        except UnlearnError as error:
            print(f"{what} {slug}: {error}", flush=True)
            continue
        if name == "retrain":
            retrained, before = main, parts.before()
        result = UnlearnResult(
            method=name,
            params=plain(params),
            chosen=how_chosen(
                method.published, plain(params), plain(method_params(method, {}, loaded.card)), tuned=False
            ),
            inputs=inputs_of(dataset, loaded),
            forget=ForgetSet(classes=tuple(args.forget), fraction=args.fraction, digest=split.digest),
            seconds=main.seconds,
            before=before.evaluation,
            after=main.evaluation,
            ladder=main.ladder,
            sparsity=main.sparsity,
            facts=main.facts,
            to_retrain=to_retrain(main, retrained),
            before_to_retrain=to_retrain(before, retrained),
        )
        found = trials_of(args.name, to_plain(result), {"settings": {"seed": seed}}, facts)
        trials += found if name == "retrain" else found[1:]
        measures = main.evaluation.measures
        row = {
            "sparsity": f"{sparsity:g}",
            "seed": seed,
            "method": slug,
            **{k: _percent(getattr(measures, k.lower())) for k in ("UA", "MIA", "RA", "TA")},
            "seconds": main.seconds,
            "took": round(time.perf_counter() - started, 1),
        }
        print_table([row], header=False)
    return trials


def variants_of(args):
    """Each method with the settings that it is tried under; retraining first, as all are compared with it."""
    names = list(METHODS) if args.methods == "all" else args.methods.split(",")
    left_out = {"retrain", "untouched"}
    left_out |= set() if args.forget else {m.name for m in METHODS.values() if m.whole_classes}
    names = ["retrain", *(n for n in names if n not in left_out)]
    variants = [(name, {}) for name in names]
    for schedule in filter(None, args.schedules.split(",")):
        variants += [("l1_sparse", {"penalty": schedule, "gamma": float(g)}) for g in args.gammas.split(",")]
    return variants


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:digits-vgg11")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--forget", default="")
    parser.add_argument("--fraction", type=float, default=0.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sparsities", default="0,0.95")
    parser.add_argument("--sparsifier", default="omp")
    parser.add_argument("--methods", default="all")
    parser.add_argument("--schedules", default="", help="of l1_sparse, beside its default")
    parser.add_argument("--gammas", default="0.0005")
    parser.add_argument(
        "--epochs", type=int, default=0, help="of retraining and sparse training; 0 takes the card's"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cache", type=Path, default=home() / "studies")
    parser.add_argument("--name", default="")
    parser.add_argument("--anew", action="store_true", help="measure again what the stored study holds")
    args = parser.parse_args()
    on_cpu = choose_device(args.device).type == "cpu"
    args.now = time.process_time if on_cpu else time.perf_counter
    if on_cpu:
        torch.set_num_threads(1)
    args.forget = tuple(filter(None, args.forget.split(",")))
    args.recipe = {"epochs": args.epochs} if args.epochs else {}
    scenario = f"class-{'-'.join(args.forget)}" if args.forget else f"random-{args.fraction:.0%}".rstrip("%")
    args.name = args.name or f"{_slug(args.model)}-{scenario}"
    args.dataset = open_dataset(parse_dataset(args.data), silent)
    trials = [] if args.anew or args.name not in studies() else list(read_study(args.name).trials)
    for sparsity in map(float, args.sparsities.split(",")):
        for seed in range(args.seeds):
            there = [t for t in trials if t.seed == seed and held(t, sparsity, args.sparsifier)]
            if len(there) < len(variants_of(args)):
                found = measured(args, sparsity, seed, variants_of(args))
                trials = [t for t in trials if t not in there] + found
                keep(args, trials)


def held(trial, sparsity, sparsifier):
    """Whether a stored trial is of a model that is so sparse, and was made so by this sparsifier."""
    same = trial.sparsifier == sparsifier if sparsity else not trial.sparsifier
    return same and abs(trial.sparsity - sparsity) < SAME_SPARSITY


def keep(args, trials):
    """Writes what there is so far: after every seed, so that a long study can be looked at while it grows."""
    what = " and ".join(args.forget) if args.forget else f"a random {args.fraction:.0%}"
    seeds = len({t.seed for t in trials})
    command = command_of("study", args, args.dataset.spec.name)
    about = (
        f"{_slug(args.model)}: forgetting {what}, {seeds} seeds, {len({t.method for t in trials})} methods."
    )
    kept = read_study(args.name).curves if args.name in studies() else {}
    path = write_study(
        Study(args.name, about, command, datetime.date.today().isoformat(), machine(), trials, kept)
    )
    print(f"{path.name}: {len(trials)} trials, {path.stat().st_size / 1024:.0f} KiB", flush=True)


def _slug(model):
    return Path(model.removeprefix("bundled:")).stem


def _percent(share):
    return "" if share is None else f"{100 * share:.1f}"


if __name__ == "__main__":
    main()
