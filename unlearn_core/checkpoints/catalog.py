"""The models at hand, bundled and imported, from their file headers alone: no torch, no weights read."""

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unlearn_core.checkpoints import cards
from unlearn_core.errors import UnlearnError
from unlearn_core.home import home

ASSETS = Path(__file__).resolve().parents[2] / "assets"
HEADER_KEY = "lethe"
_LONGEST_HEADER = 16 * 1024 * 1024  # bytes; a hostile length must not make us read a whole disk


def bundled_folder() -> Path:
    """Where the bundled models lie."""
    return ASSETS / "models"


def imported_folder() -> Path:
    """Where imported models lie, each as one file of Lethe's own format."""
    return home() / "models"


def models() -> dict[str, dict[str, Any]]:
    """Every model at hand by its reference (`bundled:NAME`, `imported:NAME`), with its card as plain values.

    A file that isn't Lethe's is left out: one stray file must not keep all others from being opened.
    """
    found = {}
    for kind, folder in (("bundled", bundled_folder()), ("imported", imported_folder())):
        for path in sorted(folder.glob("*.safetensors")):
            with contextlib.suppress(UnlearnError):
                found[f"{kind}:{path.stem}"] = read_header(path)["card"]
    return found


def path_of(reference: str) -> Path:
    """The file behind `bundled:NAME` or `imported:NAME`.

    Raises:
        UnlearnError: There is no such model; the message lists those at hand.
    """
    kind, _, name = reference.partition(":")
    folder = bundled_folder() if kind == "bundled" else imported_folder()
    path = folder / f"{name}.safetensors"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or not path.is_file():
        raise UnlearnError(f"There is no model {reference!r}; at hand are: {', '.join(models()) or 'none'}.")
    return path


def scratch_recipe(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The settings by which a model with these facts on its card is trained from scratch, as far as they tell.

    A recipe that went on from another model's weights is too short and too gentle for new ones: of that one, the epochs
    and the learning rate are left out.
    """
    continued = "--init" in str(facts.get("command", ""))
    recipe = facts.get("recipe", {})
    return {name: value for name, value in recipe.items() if not (continued and name in {"epochs", "lr"})}


def read_header(path: Path) -> dict[str, Any]:
    """Lethe's own entry in a safetensors header: the card, checked, and the plan of a pruned model.

    Raises:
        UnlearnError: The file wasn't written by Lethe.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, _LONGEST_HEADER)))
        entry: dict[str, Any] = json.loads(header["__metadata__"][HEADER_KEY])
        card = entry["card"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnlearnError(f"{path.name} isn't a model file that Lethe wrote: it has no card.") from error
    return {**entry, "card": cards.checked(card, path.name).values}
