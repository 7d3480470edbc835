"""Which trials stand for the same: one configuration over its seeds, one model and forget set, one level of sparsity."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from unlearn_core.experiments.trial import Trial
from unlearn_core.results.closeness import MEASURES

# Sparsities are shares of whole weights: two closer than this are the same one asked for.
_DIGITS = 3


class Level(NamedTuple):
    """How sparse a model is, in [0, 1], and by which sparsifier ("omp", "omp, strict")."""

    sparsity: float
    sparsifier: str


DENSE = Level(0.0, "")


@dataclass(frozen=True)
class Scenario:
    """What can be compared: trials that began with the same dense model and forget the same of the same images.

    Attributes:
        key: Short and stable, for addresses.
        model: Name of the dense model.
        data: Data set.
        classes: Forgotten classes; empty for a random share.
        fraction: Random share that is forgotten; 0 for classes.
        trials: All that was measured, newest first.
    """

    key: str
    model: str
    data: str
    classes: tuple[str, ...]
    fraction: float
    trials: tuple[Trial, ...]


def scenarios(trials: Iterable[Trial]) -> list[Scenario]:
    """What some trials can be compared in, that of the first trial first."""
    by_identity: dict[tuple[Any, ...], list[Trial]] = {}
    for trial in trials:
        by_identity.setdefault((trial.base, *trial.scenario), []).append(trial)
    return [_scenario(identity, members) for identity, members in by_identity.items()]


def grouped(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """The trials of each configuration, one a seed: one method with one setting on one model, measured in one place."""
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[key_of(trial)].append(trial)
    return {key: one_a_seed(members) for key, members in groups.items()}


def one_a_seed(trials: Iterable[Trial]) -> list[Trial]:
    """One trial a seed and forget set, by seed: of several the most complete one, else the first."""
    best: dict[tuple[int, str], Trial] = {}
    for trial in trials:
        key = (trial.seed, trial.digest)
        if key not in best or _completeness(trial) > _completeness(best[key]):
            best[key] = trial
    return [best[key] for key in sorted(best)]


def key_of(trial: Trial) -> str:
    """Short, and the same for trials of one configuration, which differ by their seed alone."""
    settings = {name: value for name, value in trial.params.items() if name not in _without_effect(trial)}
    return f"{trial.method}-{short([settings, *level_of(trial), trial.stored])}"


def _without_effect(trial: Trial) -> tuple[str, ...]:
    """Settings that change nothing about a trial: with one class there is nothing to combine."""
    return ("combine",) if len(trial.classes) < 2 else ()


def short(value: Any) -> str:
    """A hash of plain values, for addresses and widgets."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=4).hexdigest()


def level_of(trial: Trial) -> Level:
    """How sparse the model was that a trial began with; masks of several seeds, a weight or two apart, are one level."""
    return level_at(trial.sparsity, trial.sparsifier)


def level_at(sparsity: float, sparsifier: str) -> Level:
    """The level of a sparsity that was asked for."""
    rounded = round(sparsity, _DIGITS)
    return Level(rounded, sparsifier) if rounded else DENSE


def dense_first(trials: Sequence[Trial]) -> Trial:
    """A trial that names what they are of: a sparse model has a name of its own, and came from the dense one."""
    return next((t for t in trials if not t.sparsity), trials[0])


def _scenario(identity: Sequence[Any], members: Sequence[Trial]) -> Scenario:
    named = dense_first(members)
    return Scenario(
        short(list(identity)), named.model, named.data, named.classes, named.fraction, tuple(members)
    )


def _completeness(trial: Trial) -> int:
    measured = (*(getattr(trial, name) for name in MEASURES), trial.js)
    # A run's own result goes before the same method as another one's control.
    return sum(value is not None for value in measured) + (trial.part == "after")
