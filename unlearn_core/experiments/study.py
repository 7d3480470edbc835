"""Stored studies: many trials in one file that the app opens without running anything."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unlearn_core.checkpoints.catalog import ASSETS
from unlearn_core.errors import UnlearnError
from unlearn_core.experiments.trial import Trial, from_plain, to_plain
from unlearn_core.store.files import plain_json, write_text

STUDIES = ASSETS / "studies"


@dataclass(frozen=True)
class Study:
    """Trials that belong together.

    Attributes:
        name: The file's name without its ending.
        about: One sentence.
        command: What repeats it.
        date: When it was made, ISO 8601.
        machine: On what it was measured.
        trials: What was measured.
        curves: Further measured curves by name, plain values.
    """

    name: str
    about: str
    command: str
    date: str
    machine: Mapping[str, Any]
    trials: Sequence[Trial]
    curves: Mapping[str, Any] = field(default_factory=dict)


def studies(folder: Path = STUDIES) -> list[str]:
    """The names of all stored studies."""
    return sorted(path.stem for path in folder.glob("*.json"))


def write_study(study: Study, folder: Path = STUDIES) -> Path:
    """Writes the study in one step; what the trials share is written once.

    Numbers keep six digits: more than any of them is sure of.
    """
    rows = [to_plain(trial) for trial in study.trials]
    shared = {k: v for k, v in (rows[0] if rows else {}).items() if all(row[k] == v for row in rows)}
    values = {
        **{k: getattr(study, k) for k in ("about", "command", "date", "machine", "curves")},
        "shared": shared,
        "trials": [{k: v for k, v in row.items() if k not in shared} for row in rows],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{study.name}.json"
    write_text(path, json.dumps(_rounded(plain_json(values)), separators=(",", ":")) + "\n")
    return path


def read_study(name: str, folder: Path = STUDIES) -> Study:
    """A stored study.

    Raises:
        UnlearnError: There is none of that name, or its file can't be read.
    """
    if name not in studies(folder):
        raise UnlearnError(
            f"There is no stored study {name!r}; there are: {', '.join(studies(folder)) or 'none'}."
        )
    try:
        values = json.loads((folder / f"{name}.json").read_text())
        trials = [from_plain({**values["shared"], **row}) for row in values["trials"]]
        about = {k: values[k] for k in ("about", "command", "date", "machine", "curves")}
    except (KeyError, TypeError, ValueError) as error:
        raise UnlearnError(f"The stored study {name!r} is damaged ({error}); make it again.") from error
    return Study(name=name, trials=trials, **about)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return value
