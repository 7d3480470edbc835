"""The command line: the same runs as the pages start, by the same road.

Everything but the answer goes to standard error; with `--json` the last thing on standard output is one JSON object.
Bad input, and a run that failed by it, is one sentence and exit status 2; a run that was cancelled or interrupted is 1.
"""

import argparse
import json
import secrets
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from unlearn_core.errors import UnlearnError
from unlearn_core.params import Setting, build, settings_of
from unlearn_core.results.closeness import values_of
from unlearn_core.running import jobs
from unlearn_core.running.grid import expand, group_id, seeds_in
from unlearn_core.running.reproduce import command_line
from unlearn_core.running.terminal import Stopped, follow, follow_new, printer
from unlearn_core.store.files import plain_json, write_bytes
from unlearn_core.store.runs import RunRecord, RunStore


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UnlearnError(f"{message[:1].upper()}{message[1:]}. See: {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parser(words).parse_args(words)
        return int(args.command(args))
    except UnlearnError as error:
        print(error, file=sys.stderr)
        return 1 if isinstance(error, Stopped) else 2
    except BrokenPipeError:
        return 1


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """All commands; those whose settings need torch to be known are filled only when they are the one asked for."""
    parser = _Parser(
        prog="python -m unlearn_core", description="Look inside a CNN classifier and make it forget classes."
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    asked = next((w for w in words if not w.startswith("-")), "")
    for name, (about, fill) in _COMMANDS.items():
        sub = commands.add_parser(name, help=about, description=about)
        if name == asked:
            fill(sub, words)
    execute = commands.add_parser("execute")
    execute.add_argument("run")
    execute.set_defaults(command=_execute)
    return parser


def _train_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    from unlearn_core.models.recipe import Recipe
    from unlearn_core.workflows.train import TrainRequest

    _add_settings(parser, settings_of(TrainRequest))
    # From scratch, the fine-tuning defaults of epochs, rate and schedule would not do.
    _add_settings(parser, settings_of(Recipe), {"epochs": 12, "lr": 0.1, "schedule": "one_cycle"})
    parser.add_argument("--out", required=True, type=Path, help="where the model file goes (.safetensors)")
    _finish(parser, _train)


def _score_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    from unlearn_core.workflows.score import ScoreRequest

    _add_settings(parser, settings_of(ScoreRequest), required=("model", "data"))
    parser.add_argument("--out", required=True, type=Path, help="where the arrays go (.npz)")
    _finish(parser, _score)


def _unlearn_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    from unlearn_core.unlearning.registry import find_method
    from unlearn_core.workflows.unlearn import UnlearnRequest

    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--method", default="tfidf_prune")
    method = find_method(first.parse_known_args(list(words))[0].method)
    _add_settings(parser, settings_of(UnlearnRequest), required=("model", "data"))
    _add_settings(
        parser.add_argument_group(f"settings of {method.name}"), settings_of(method.params), suppress=True
    )
    parser.add_argument("--out", type=Path, help="where the unlearned model goes (.safetensors)")
    _finish(parser, _unlearn)


def _sparsify_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    from unlearn_core.sparsify.registry import find_sparsifier
    from unlearn_core.workflows.sparsify import SparsifyRequest

    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--sparsifier", default="omp")
    sparsifier = find_sparsifier(first.parse_known_args(list(words))[0].sparsifier)
    _add_settings(parser, settings_of(SparsifyRequest), required=("model", "data"))
    _add_settings(
        parser.add_argument_group(f"settings of {sparsifier.name}"),
        settings_of(sparsifier.params),
        suppress=True,
    )
    parser.add_argument("--out", required=True, type=Path, help="where the sparse model goes (.safetensors)")
    _finish(parser, _sparsify)


def _federated_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    from unlearn_core.federated.request import PARAMS, FederatedRequest, client_settings

    actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(PARAMS))
    own = [s for s in settings_of(FederatedRequest) if s.name != "action"]
    for name in PARAMS:
        action = actions.add_parser(name)
        _add_settings(action, own, required=("data",) if name == "train" else ("data", "model", "forget"))
        recipe = action.add_argument_group("recipe of a client")
        _add_settings(recipe, client_settings(name), suppress=True)
        action.add_argument("--out", type=Path, help="where the model goes (.safetensors)")
        _finish(action, _federated)


def _evaluate_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    for flag, options in _MODEL_AND_DATA.items():
        parser.add_argument(flag, **options)
    parser.add_argument(
        "--forget", default="", help="classes to report apart, by name or index, with commas between"
    )
    _finish(parser, _evaluate)


def _maps_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    from unlearn_core.workflows.inspection import MapsRequest

    _add_settings(parser, settings_of(MapsRequest), required=("model", "data", "image", "layer"))
    parser.add_argument("--out", required=True, type=Path, help="where the picture goes (.png)")
    parser.set_defaults(command=_maps)


def _runs_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="list|show|export|resume|cancel|delete"
    )
    for name in ("list", "show", "export", "resume", "cancel", "delete"):
        action = actions.add_parser(name)
        if name != "list":
            action.add_argument("run", help="id of the run")
        if name == "export":
            action.add_argument("--out", type=Path, required=True, help="where the zip goes")
        _finish(action, _runs)


def _list_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    _finish(parser, _list)


def _datasets_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    parser.add_argument(
        "--download", default="", metavar="D", help="fetch cifar10[:ROOT] or cifar100[:ROOT] first"
    )
    _finish(parser, _list)


def _pack_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder of the data pack")
    parser.add_argument(
        "--cifar10", default="", help="folder that holds CIFAR-10, where it isn't in Lethe's own"
    )
    parser.set_defaults(command=_pack)


_COMMANDS = {
    "train": ("Train a model from scratch.", _train_options),
    "score": ("Score every channel of a model for every class.", _score_options),
    "unlearn": ("Make a model forget, with controls beside it.", _unlearn_options),
    "sparsify": ("Make a model sparse, so that it forgets more easily.", _sparsify_options),
    "federated": ("Train, unlearn or retrain with images that stay at their clients.", _federated_options),
    "evaluate": ("Test accuracy of a model, by class.", _evaluate_options),
    "maps": ("Picture all channels of a layer for one image.", _maps_options),
    "runs": ("List, show, export, resume, cancel or delete runs.", _runs_options),
    "models": ("List the models at hand and the architectures.", _list_options),
    "methods": ("List the unlearning methods and their settings.", _list_options),
    "datasets": ("List the data sets, or download one.", _datasets_options),
    "pack": ("Make the data pack that the first page shows.", _pack_options),
}

_MODEL_AND_DATA: Mapping[str, dict[str, Any]] = {
    "--model": {"required": True, "help": "bundled:NAME, imported:NAME, run:ID or a path"},
    "--data": {"required": True, "help": "digits, cifar10[:ROOT], cifar100[:ROOT] or folder:PATH"},
    "--arch": {"default": "", "help": "architecture, where the checkpoint doesn't tell"},
    "--normalize": {"default": "auto", "help": "auto, none, cifar10, cifar100, imagenet or MEAN/STD"},
    "--device": {"default": "auto", "help": "auto, cuda, mps or cpu"},
}


def _add_settings(
    parser: Any,
    settings: Sequence[Setting],
    defaults: Mapping[str, Any] | None = None,
    required: Sequence[str] = (),
    suppress: bool = False,
) -> None:
    """One option a setting; values stay text, `params.build` checks them."""
    for s in settings:
        default = (defaults or {}).get(s.name, s.default)
        shown = f"{s.help} (default: {default})" if s.name not in required and default != "" else s.help
        parser.add_argument(
            f"--{s.name.replace('_', '-')}",
            default=argparse.SUPPRESS if suppress else default,
            required=s.name in required,
            help=shown.replace("%", "%%"),
            choices=s.choices or None,
            **({"nargs": "?", "const": "true"} if s.kind is bool else {}),
        )


def _finish(parser: argparse.ArgumentParser, command: Any) -> None:
    parser.add_argument(
        "--json", action="store_true", help="one JSON object as the last thing on standard output"
    )
    parser.set_defaults(command=command)


def _picked(args: argparse.Namespace, cls: type) -> dict[str, Any]:
    return {s.name: getattr(args, s.name) for s in settings_of(cls) if hasattr(args, s.name)}


def _train(args: argparse.Namespace) -> int:
    from unlearn_core.models.recipe import Recipe
    from unlearn_core.workflows.train import TrainRequest

    settings, recipe = _absolute(_picked(args, TrainRequest)), _picked(args, Recipe)
    # The card travels with the model: it names the data set, not where it lies on this machine.
    told: dict[str, Any] = {
        **settings,
        **recipe,
        "data": _without_path(str(args.data)),
        "init": Path(settings["init"]).name,
    }
    flags = [
        word
        for name, value in told.items()
        if value != ""
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    request = {
        "settings": settings,
        "recipe": recipe,
        "command": shlex.join(["python", "-m", "unlearn_core", "train", *flags]),
    }
    record = follow_new("train", request, args.device)
    write_bytes(args.out, RunStore().artifact(record.id, "model.safetensors").read_bytes())
    return _answer(
        args, record, f"Test accuracy {_result(record)['after']['test_accuracy']:.2%}; wrote {args.out}."
    )


def _score(args: argparse.Namespace) -> int:
    from unlearn_core.workflows.score import ScoreRequest

    record = follow_new("score", {"settings": _absolute(_picked(args, ScoreRequest))}, args.device)
    write_bytes(args.out, RunStore().artifact(record.id, "scores.npz").read_bytes())
    layers = _result(record)["layers"]
    return _answer(
        args, record, f"Scored {sum(layers.values())} channels of {len(layers)} layers; wrote {args.out}."
    )


def _unlearn(args: argparse.Namespace) -> int:
    from unlearn_core.unlearning.registry import find_method
    from unlearn_core.workflows.unlearn import UnlearnRequest

    request = {
        "settings": _absolute(_picked(args, UnlearnRequest)),
        "params": {n: v for n, v in _picked(args, find_method(args.method).params).items()},
    }
    if "," in str(args.seed):
        return _unlearn_seeds(args, request)
    record = follow_new("unlearn", request, args.device)
    if args.out:
        write_bytes(args.out, RunStore().artifact(record.id, "model.safetensors").read_bytes())
    return _answer(args, record, _told(_result(record)))


def _unlearn_seeds(args: argparse.Namespace, request: Mapping[str, Any]) -> int:
    """One run for each seed, one after the other; their answers in one list."""
    if args.out:
        raise UnlearnError(
            "--out takes one model, but several seeds make several; `runs export` gives each of them."
        )
    seeds = seeds_in(f"{args.seed},", 0)
    plans = expand(request, seeds, {}, args.group or group_id(request, secrets.token_hex(8)))
    records = [follow_new("unlearn", p.request, args.device) for p in plans]
    texts = [f"seed {seed}\n{_told(_result(r))}" for seed, r in zip(seeds, records, strict=True)]
    return _print(args, [{"run": r.id, **_result(r)} for r in records], "\n\n".join(texts))


def _sparsify(args: argparse.Namespace) -> int:
    from unlearn_core.sparsify.registry import find_sparsifier
    from unlearn_core.workflows.sparsify import SparsifyRequest

    request = {
        "settings": _absolute(_picked(args, SparsifyRequest)),
        "params": _picked(args, find_sparsifier(args.sparsifier).params),
    }
    command = command_line("sparsify", _without_paths(request))
    record = follow_new("sparsify", {**request, "command": command}, args.device)
    write_bytes(args.out, RunStore().artifact(record.id, "model.safetensors").read_bytes())
    result = _result(record)
    lines = [
        f"{result['sparsity']:.2%} of the convolutions' weights are gone; test accuracy "
        f"{result['before']['test_accuracy']:.2%} -> {result['after']['test_accuracy']:.2%}.",
        *(
            [f"Masks with and without the forget set share {result['overlap']['iou']:.1%} of their weights."]
            if result["overlap"]
            else []
        ),
        f"{result['seconds']:.1f} s; wrote {args.out}.",
        *result["notes"],
    ]
    return _answer(args, record, "\n".join(lines))


def _without_paths(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request as the card may tell it: the card travels with the model, this machine's paths don't."""
    settings = request["settings"]
    told = {**settings, "data": _without_path(str(settings["data"])), "model": Path(settings["model"]).name}
    return {**request, "settings": told}


def _federated(args: argparse.Namespace) -> int:
    from unlearn_core.federated.request import PARAMS, FederatedRequest

    request = {
        "settings": _absolute(_picked(args, FederatedRequest)),
        "params": _picked(args, PARAMS[args.action]),
    }
    record = follow_new("federated", request, args.device)
    if args.out:
        write_bytes(args.out, RunStore().artifact(record.id, "model.safetensors").read_bytes())
    result = _result(record)
    federation = result["federation"]
    sent = (federation["bytes_down"] + federation["bytes_up"]) / 1e6
    return _answer(
        args,
        record,
        f"{_told(result)}\n{federation['clients']} clients, {federation['partition']}: {sent:.1f} MB sent, "
        f"{len(federation['events'])} answers missing or rejected",
    )


def _told(result: Mapping[str, Any]) -> str:
    """The result of unlearning as a small table."""
    rows = [("before", result["before"]), ("pruned", result["pruned"]), ("after", result["after"])]
    rows += [(f"control: {name}", control["evaluation"]) for name, control in result["controls"].items()]
    titles = ("forget", "retain", "UA", "MIA", "RA", "TA")
    lines = [f"{'':26}{''.join(f'{title:>10}' for title in titles)}   (forget, retain: test accuracy)"]
    for name, values in rows:
        if values:
            tested = (values["forget_test_accuracy"], values["retain_test_accuracy"])
            shown = (*tested, *values_of(values).values())
            lines.append(f"{name:26}{''.join(_percent(share) for share in shown)}".rstrip())
    return "\n".join([*lines, f"{result['seconds']:.1f} s", *result["notes"]])


def _percent(share: float | None) -> str:
    return f"{'-' if share is None else format(share, '.1%'):>10}"


def _evaluate(args: argparse.Namespace) -> int:
    from unlearn_core.workflows.inspection import evaluate_model

    result = evaluate_model(
        args.model, args.data, args.forget, args.arch, args.normalize, args.device, printer()
    )
    for note in result["notes"]:
        print(note, file=sys.stderr)
    if args.json:
        print(json.dumps(plain_json(result)))
    else:
        rows = [f"{name:20}{share:8.1%}" for name, share in result["per_class"].items()]
        print("\n".join([f"{'test accuracy':20}{result['test_accuracy']:8.2%}", *rows]))
    return 0


def _maps(args: argparse.Namespace) -> int:
    from unlearn_core.workflows.inspection import MapsRequest, draw_maps

    write_bytes(args.out, draw_maps(build(MapsRequest, _picked(args, MapsRequest)), printer()))
    print(f"Wrote {args.out}.", file=sys.stderr)
    return 0


def _runs(args: argparse.Namespace) -> int:
    store = RunStore()
    jobs.refresh(store)
    if args.action == "list":
        records = store.list()
        lines = [f"{r.id}  {r.kind:8}  {r.state.value:12}  {r.name}" for r in records]
        return _print(
            args,
            [_brief(r) for r in records],
            "\n".join(lines) or "No runs yet. Start one: python -m unlearn_core unlearn --help",
        )
    if args.action == "export":
        write_bytes(args.out, store.export(args.run))
        return _print(args, {"run": args.run, "out": str(args.out)}, f"Wrote {args.out}.")
    if args.action == "delete":
        store.delete(args.run)
        return _print(args, {"run": args.run, "deleted": True}, f"Deleted run {args.run}.")
    if args.action == "cancel":
        jobs.cancel(store, args.run)
        return _print(
            args, {"run": args.run, "cancel": True}, f"Run {args.run} will stop within two seconds."
        )
    if args.action == "resume":
        jobs.resume(store, args.run)
        record = follow(store, args.run)
        return _answer(args, record, f"Run {record.id} is {record.state.value}.")
    record = store.get(args.run)
    shown = {
        **_brief(record),
        "request": record.request,
        "error": record.error,
        "note": record.note,
        "result": record.result,
    }
    return _print(args, shown, json.dumps(plain_json(shown), indent=1))


def _brief(record: RunRecord) -> dict[str, Any]:
    return {
        "run": record.id,
        "kind": record.kind,
        "state": record.state.value,
        "name": record.name,
        "created": record.created,
        "seconds": (record.finished - record.started) if record.finished and record.started else None,
    }


def _list(args: argparse.Namespace) -> int:
    rows = (
        _datasets(args.download)
        if args.name == "datasets"
        else {"models": _models, "methods": _methods}[args.name]()
    )
    return _print(args, rows, "\n".join(f"{name:30}{row['about']}" for name, row in rows.items()))


def _models() -> dict[str, dict[str, Any]]:
    from unlearn_core.checkpoints import catalog
    from unlearn_core.models.registry import ARCHITECTURES

    at_hand = {
        reference: {
            "about": f"{card['spec']['arch']} on {card['dataset']}, {len(card['classes'])} classes",
            "card": card,
        }
        for reference, card in catalog.models().items()
    }
    return {**at_hand, **{name: {"about": f"architecture: {a.label}"} for name, a in ARCHITECTURES.items()}}


def _methods() -> dict[str, dict[str, Any]]:
    from unlearn_core.unlearning.registry import METHODS

    return {
        m.name: {
            "about": m.about,
            "label": m.label,
            "paper": m.paper,
            "control": m.control,
            "settings": {s.name: s.default for s in settings_of(m.params)},
        }
        for m in METHODS.values()
    }


def _datasets(download: str) -> dict[str, dict[str, Any]]:
    from unlearn_core.data.sources import DATASETS, open_dataset, parse_dataset

    if download:
        open_dataset(parse_dataset(download), printer(), download=True)
    return {
        s.name: {"about": s.about, "label": s.label, "needs_root": s.needs_root} for s in DATASETS.values()
    }


def _pack(args: argparse.Namespace) -> int:
    from unlearn_core.workflows.pack import make_pack

    make_pack(args.out, printer(), {"cifar10": f"cifar10:{args.cifar10}"} if args.cifar10 else {})
    print(f"Wrote {args.out}.", file=sys.stderr)
    return 0


def _execute(args: argparse.Namespace) -> int:
    def run_workflow(kind: str, request: dict[str, Any], folder: Path, report: Any) -> dict[str, Any]:
        from unlearn_core.workflows.registry import run_workflow as run

        return run(kind, request, folder, report)

    return jobs.execute(RunStore(), args.run, run_workflow)


def _answer(args: argparse.Namespace, record: RunRecord, text: str) -> int:
    return _print(args, {"run": record.id, **_result(record)}, text)


def _print(args: argparse.Namespace, value: Any, text: str) -> int:
    print(json.dumps(plain_json(value)) if args.json else text)
    return 0


def _result(record: RunRecord) -> dict[str, Any]:
    if record.result is None:
        raise UnlearnError(
            f"Run {record.id} has no sound result: {'; '.join(record.damage) or record.state.value}."
        )
    return record.result


def _absolute(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with paths that still mean the same in the run's own process."""
    result = dict(settings)
    for field in ("model", "init"):
        reference = str(settings.get(field, ""))
        if reference and not reference.startswith(("bundled:", "imported:", "run:")):
            result[field] = str(Path(reference).expanduser().resolve())
    name, colon, root = str(settings["data"]).partition(":")
    if root:
        result["data"] = f"{name}{colon}{Path(root).expanduser().resolve()}"
    return result


def _without_path(data: str) -> str:
    name, colon, _ = data.partition(":")
    return f"{name}{colon}{'ROOT' if colon else ''}"
