"""Which retrained model a trial is measured by, and how far retraining lies from itself: the same in every table and chart."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unlearn_core.experiments.trial import FEDERATED, REFERENCE, Trial
from unlearn_core.results.closeness import MEASURES, noise_floor

AVERAGE = "avg_gap"

Floor = Mapping[str, float | None]
"""By measure, and of all four as `avg_gap`; None where it isn't known."""

Place = tuple[float, str]
"""A sparsity in [0, 1] and the sparsifier that made it ("omp", "omp, strict"); 0 and "" for the dense model."""

# Sparsities are shares of whole weights: two closer than this are the same one asked for.
_DIGITS = 3


def grouped(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """The trials of one method with one setting on one model, measured in one place: one a seed and forget set, by seed.

    Of two trials with the same ones the more complete one counts, else the first.
    """
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[key_of(trial)].append(trial)
    return {key: _one_a_seed(members) for key, members in groups.items()}


def key_of(trial: Trial) -> str:
    """Short, and the same for trials that differ by their seed alone."""
    return f"{trial.method}-{short([dict(trial.params), *place_of(trial), trial.stored])}"


def short(value: Any) -> str:
    """A hash of plain values, for addresses and widgets."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=4).hexdigest()


def place_of(trial: Trial) -> Place:
    """Of which model a trial is; masks of several seeds, which may differ by a weight or two, have one."""
    return place_at(trial.sparsity, trial.sparsifier)


def place_at(sparsity: float, sparsifier: str) -> Place:
    """The same for sparsities that were asked for as one."""
    rounded = round(sparsity, _DIGITS)
    return (rounded, sparsifier) if rounded else (0.0, "")


def references(groups: Mapping[str, Sequence[Trial]]) -> list[Trial]:
    """The retrained models among `grouped` trials, in one place or by clients."""
    return [t for members in groups.values() for t in members if is_reference(t.method)]


def is_reference(method: str) -> bool:
    """Whether a method is retraining, in one place or by clients."""
    return method.removeprefix(FEDERATED) == REFERENCE


def paired(trial: Trial, retrained: Sequence[Trial]) -> Trial | None:
    """The retrained model that a trial is measured by: of the same forget set, and otherwise as like it as there is.

    What counts, in this order: the same mask, else dense; by clients, and the same ones, where the trial is; measured in
    the same place; not with settings of somebody's own; the same seed.
    """
    same = [
        r
        for r in retrained
        if r.digest == trial.digest
        and (not r.sparsity or same_mask(r, trial))
        and (trial.federated or not r.federated)
    ]

    def unlike(r: Trial) -> tuple[bool, ...]:
        likeness = (not same_mask(r, trial), r.federated != trial.federated, not same_clients(r, trial))
        return *likeness, r.stored != trial.stored, of_ones_own(r), r.seed != trial.seed

    return min(same, key=unlike, default=None)


def same_mask(one: Trial, two: Trial) -> bool:
    """Whether two trials began with models that are as sparse by the same sparsifier; dense ones are."""
    return place_of(one) == place_of(two)


def same_clients(one: Trial, two: Trial) -> bool:
    """Whether two federated trials have as many clients with images dealt alike; those of one place have none."""
    return all(one.params.get(name) == two.params.get(name) for name in ("clients", "partition"))


def of_ones_own(trial: Trial) -> bool:
    """Whether somebody chose the settings."""
    return trial.chosen in {"by hand", "tuned"}


def floor_of(retrained: Sequence[Trial]) -> Floor:
    """How far models retrained without the same images lie from each other; None where there are fewer than two of them.

    Of a random share there may be several draws: what lies between models of two draws is no noise of retraining.
    """
    by_set: dict[str, list[Trial]] = defaultdict(list)
    for trial in retrained:
        by_set[trial.digest].append(trial)
    most = max(by_set.values(), key=len, default=[])
    found = noise_floor([evaluation_of(t) for t in most])
    return {**found["gaps"], AVERAGE: found[AVERAGE]}


def evaluation_of(trial: Trial) -> dict[str, Any]:
    """As `measures` reads one."""
    return {**{name: getattr(trial, name) for name in MEASURES}, "mia": {"efficacy": trial.mia}}


def _one_a_seed(members: Sequence[Trial]) -> list[Trial]:
    best: dict[tuple[int, str], Trial] = {}
    for trial in members:
        key = (trial.seed, trial.digest)
        if key not in best or _completeness(trial) > _completeness(best[key]):
            best[key] = trial
    return [best[key] for key in sorted(best)]


def _completeness(trial: Trial) -> int:
    return sum(value is not None for value in (*(getattr(trial, n) for n in MEASURES), trial.js)) + (
        # A run's own result goes before the same method as another one's control.
        trial.part == "after"
    )
