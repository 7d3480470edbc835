"""All that was measured: finished runs of a store, stored studies, and the run that came with the app; each read once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

from unlearn_core.checkpoints import catalog
from unlearn_core.errors import UnlearnError
from unlearn_core.experiments.study import STUDIES, Study, read_study, studies
from unlearn_core.experiments.trial import STORED, Trial, trials_of
from unlearn_core.results.plain import to_plain
from unlearn_core.store.runs import RunState, RunStore
from unlearn_core.workflows import pack

KINDS = ("unlearn", "federated")
"""The kinds of runs that measure what was forgotten."""
UNKNOWN_MASK = "a mask"
"""The sparsifier of a sparse model whose card is gone."""
_MOST_RUNS = 500

T = TypeVar("T")


@dataclass(frozen=True)
class Measured:
    """Every model that was measured.

    Attributes:
        trials: Those of the newest runs first, then of the stored studies, then of the app's run.
        studies: The stored studies, by name.
        damaged: What was left out, a sentence each.
    """

    trials: tuple[Trial, ...]
    studies: Mapping[str, Study]
    damaged: tuple[str, ...]


def measured(store: RunStore) -> Measured:
    """Everything that can be compared; what can't be read is left out and named."""
    runs, damaged_runs = _readable(partial(_of_run, store, run_id) for run_id in _finished(store))
    stored, damaged_studies = _readable(partial(_study, name) for name in studies(STUDIES))
    packed, _ = _readable([_of_pack])  # the first page tells of a missing pack
    groups = (*runs, *(study.trials for study in stored), *packed)
    trials = tuple(trial for group in groups for trial in group)
    return Measured(trials, {study.name: study for study in stored}, (*damaged_runs, *damaged_studies))


def _readable(sources: Iterable[Callable[[], T]]) -> tuple[list[T], list[str]]:
    """What the sources give, and of those that can't be read, why not."""
    values: list[T] = []
    problems: list[str] = []
    for read in sources:
        try:
            values.append(read())
        except UnlearnError as error:
            problems.append(str(error))
    return values, problems


def _finished(store: RunStore) -> list[str]:
    """The ids of the runs that succeeded, the newest first."""
    records = [record for kind in KINDS for record in store.list(kind, _MOST_RUNS)]
    newest = sorted(records, key=lambda record: -record.created)
    return [record.id for record in newest if record.state is RunState.SUCCEEDED]


def _of_run(store: RunStore, run_id: str) -> list[Trial]:
    return _of_run_at(store, run_id, _stamp(store.folder(run_id) / "result.json"))


# Size and time of change beside the id: a finished run's result never changes, unless somebody damages it.
@lru_cache(maxsize=1024)
def _of_run_at(store: RunStore, run_id: str, _stamp: tuple[int, int]) -> list[Trial]:
    request, result = store.get(run_id).request, store.result(run_id)
    reference = str(request.get("settings", {}).get("model", ""))
    return trials_of(run_id, result, request, _sparse_facts(result, _card(store, reference)))


def _sparse_facts(result: Mapping[str, Any], card: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the card of the model that a run began with says of its mask; None for a dense model.

    Where the card is gone, or another model's meanwhile, the result still says how sparse the model was.
    """
    facts = card.get("facts", {}) if card.get("name") == result.get("inputs", {}).get("model") else {}
    if "sparsity" in facts:
        return dict(facts)
    sparsity = result.get("sparsity")
    return {"sparsity": {"measured": sparsity, "method": UNKNOWN_MASK}} if sparsity else None


def _card(store: RunStore, reference: str) -> Mapping[str, Any]:
    """The card of a model; empty where it is gone."""
    try:
        return dict(catalog.read_header(_file(store, reference))["card"])
    except UnlearnError:
        return {}


def _file(store: RunStore, reference: str) -> Path:
    """A model's file: of a run, by its path, or of the catalog.

    Raises:
        UnlearnError: There is no such model.
    """
    if reference.startswith("run:"):
        return store.artifact(reference.removeprefix("run:"), "model.safetensors")
    path = Path(reference)
    return path if path.suffix == ".safetensors" and path.is_file() else catalog.path_of(reference)


def _of_pack() -> list[Trial]:
    request = {"settings": dict(pack.read_pack().run.settings)}
    return trials_of(STORED, to_plain(pack.read_run()), request)


def _study(name: str) -> Study:
    return _study_at(name, STUDIES, _stamp(STUDIES / f"{name}.json"))


@lru_cache(maxsize=32)
def _study_at(name: str, folder: Path, _stamp: tuple[int, int]) -> Study:
    return read_study(name, folder)


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change; zeros for a file that is gone."""
    try:
        about = path.stat()
    except OSError:
        return 0, 0
    return about.st_size, about.st_mtime_ns
