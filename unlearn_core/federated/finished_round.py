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
class FinishedRound:
    """A run between two rounds.

    Attributes:
        base: Hash of the model that the run began with.
        number: Rounds that are finished.
        state: The model's weights and statistics after them.
        record: What the server knows besides: ladder, seconds, plan, events and exchanges, plain.
    """

    base: str
    number: int
    state: Arrays
    record: Mapping[str, Any]


def save_round(folder: Path, finished: FinishedRound) -> None:
    """Puts it in the place of the round before, in one step."""
    head = {"base": finished.base, "number": finished.number, "told": finished.record}
    state = {f"{_STATE}{name}": values for name, values in finished.state.items()}
    write_npz(folder / _FILE, {"head": np.array(json.dumps(plain_json(head))), **state}, compress=False)


def load_round(folder: Path, base: str) -> FinishedRound | None:
    """The last round that was finished from that very model; None where there is none."""
    path = folder / _FILE
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        head = json.loads(str(arrays["head"]))
        state = {n.removeprefix(_STATE): arrays[n] for n in arrays.files if n.startswith(_STATE)}
    return FinishedRound(base, head["number"], state, head["told"]) if head["base"] == base else None


def remove_round(folder: Path) -> None:
    """A finished run needs no round to go on from."""
    (folder / _FILE).unlink(missing_ok=True)
