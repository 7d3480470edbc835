"""The last round of a federated run that was finished, on disk: what a run whose server died goes on from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unlearn_core.federated.messages import Arrays
from unlearn_core.store.files import plain_json, write_npz

_FILE = "sealed.npz"
_STATE = "state/"


@dataclass(frozen=True, eq=False)
class Sealed:
    """A run between two rounds.

    Attributes:
        base: Hash of the model that the run began with.
        number: Rounds that are finished.
        state: The model's weights and statistics after them.
        told: What the server knows besides: ladder, seconds, plan, events and exchanges, plain.
    """

    base: str
    number: int
    state: Arrays
    told: Mapping[str, Any]


def seal(folder: Path, sealed: Sealed) -> None:
    """Puts it in the place of the round before, in one step."""
    head = json.dumps(plain_json({"base": sealed.base, "number": sealed.number, "told": sealed.told}))
    state = {f"{_STATE}{name}": values for name, values in sealed.state.items()}
    write_npz(folder / _FILE, {"head": np.array(head), **state}, compress=False)


def unseal(folder: Path, base: str) -> Sealed | None:
    """The last round that was finished from that very model; None where there is none."""
    path = folder / _FILE
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        head = json.loads(str(arrays["head"]))
        state = {n.removeprefix(_STATE): arrays[n] for n in arrays.files if n.startswith(_STATE)}
    return Sealed(base, head["number"], state, head["told"]) if head["base"] == base else None


def forget_sealed(folder: Path) -> None:
    """A finished run needs no round to go on from."""
    (folder / _FILE).unlink(missing_ok=True)
