"""Options of commands, made from declared settings."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unlearn_core.params import Setting


def add_settings(
    parser: Any, settings: Sequence[Setting], required: Sequence[str] = (), *, with_defaults: bool = True
) -> None:
    """One option a setting; values stay text, `params.build` checks them."""
    for s in settings:
        told = s.name not in required and s.default != ""
        about = f"{s.help} (default: {s.default})" if told else s.help
        parser.add_argument(
            f"--{s.name.replace('_', '-')}",
            default=s.default if with_defaults else argparse.SUPPRESS,
            required=s.name in required,
            help=about.replace("%", "%%"),
            choices=s.choices or None,
            **({"nargs": "?", "const": "true"} if s.kind is bool else {}),
        )


def finish(parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int]) -> None:
    """Lets the parser lead to the command, and the command answer in JSON."""
    parser.add_argument(
        "--json", action="store_true", help="one JSON object as the last thing on standard output"
    )
    parser.set_defaults(command=command)


def given(args: argparse.Namespace, settings: Sequence[Setting]) -> dict[str, Any]:
    """The values of those settings that the arguments hold."""
    return {s.name: getattr(args, s.name) for s in settings if hasattr(args, s.name)}


def absolute(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with paths that still mean the same in the run's own process."""
    result = dict(settings)
    for field in ("model", "init"):
        reference = str(settings.get(field, ""))
        if reference and not reference.startswith(("bundled:", "imported:", "run:")):
            result[field] = str(Path(reference).expanduser().resolve())
    name, colon, root = str(settings.get("data", "")).partition(":")
    if root:
        result["data"] = f"{name}{colon}{Path(root).expanduser().resolve()}"
    return result


def without_paths(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings as a card may tell them: it travels with the model, and this machine's paths don't."""
    result = dict(settings)
    for field in ("model", "init"):
        if field in settings:
            result[field] = Path(settings[field]).name
    if "data" in settings:
        name, colon, _ = str(settings["data"]).partition(":")
        result["data"] = f"{name}{colon}{'ROOT' if colon else ''}"
    return result
