"""The commands that answer without a run: accuracy, a picture of maps, the data pack."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unlearn_core.params import build, settings_of
from unlearn_core.running.command.options import add_settings, finish, given
from unlearn_core.running.terminal import printer
from unlearn_core.store.files import plain_json, write_bytes


def evaluate_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Gives `evaluate` its options."""
    from unlearn_core.workflows.inspection import EvaluateRequest

    add_settings(parser, settings_of(EvaluateRequest), required=("model", "data"))
    finish(parser, _evaluate)


def maps_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Gives `maps` its options."""
    from unlearn_core.workflows.inspection import MapsRequest

    add_settings(parser, settings_of(MapsRequest), required=("model", "data", "image", "layer"))
    parser.add_argument("--out", required=True, type=Path, help="where the picture goes (.png)")
    parser.set_defaults(command=_maps)


def pack_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Gives `pack` its options."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the data pack")
    parser.add_argument(
        "--cifar10", default="", help="folder that holds CIFAR-10, where it isn't in Lethe's own"
    )
    parser.set_defaults(command=_pack)


def _evaluate(args: argparse.Namespace) -> int:
    from unlearn_core.workflows.inspection import EvaluateRequest, evaluate_model

    request = build(EvaluateRequest, given(args, settings_of(EvaluateRequest)))
    result = evaluate_model(request, printer())
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

    request = build(MapsRequest, given(args, settings_of(MapsRequest)))
    write_bytes(args.out, draw_maps(request, printer()))
    print(f"Wrote {args.out}.", file=sys.stderr)
    return 0


def _pack(args: argparse.Namespace) -> int:
    from unlearn_core.workflows.pack import make_pack

    make_pack(args.out, printer(), {"cifar10": f"cifar10:{args.cifar10}"} if args.cifar10 else {})
    print(f"Wrote {args.out}.", file=sys.stderr)
    return 0
