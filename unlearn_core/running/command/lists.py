"""The commands that list what there is: models, methods, data sets."""

import argparse
from collections.abc import Sequence
from typing import Any

from unlearn_core.params import settings_of
from unlearn_core.running.command.options import finish
from unlearn_core.running.command.printing import printed
from unlearn_core.running.terminal import printer

Rows = dict[str, dict[str, Any]]
"""What is listed, by name; each says under `about` what it is."""


def add_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Gives `models` and `methods` their options."""
    finish(parser, _list)


def dataset_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Gives `datasets` its options."""
    parser.add_argument(
        "--download", default="", metavar="D", help="fetch cifar10[:ROOT] or cifar100[:ROOT] first"
    )
    finish(parser, _list)


def _list(args: argparse.Namespace) -> int:
    rows = _datasets(args.download) if args.name == "datasets" else _LISTS[args.name]()
    return printed(args, rows, "\n".join(f"{name:30}{row['about']}" for name, row in rows.items()))


def _models() -> Rows:
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


def _methods() -> Rows:
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


_LISTS = {"models": _models, "methods": _methods}


def _datasets(download: str) -> Rows:
    from unlearn_core.data.sources import DATASETS, open_dataset, parse_dataset

    if download:
        open_dataset(parse_dataset(download), printer(), download=True)
    return {
        s.name: {"about": s.about, "label": s.label, "needs_root": s.needs_root} for s in DATASETS.values()
    }
