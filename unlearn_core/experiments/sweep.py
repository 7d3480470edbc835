"""Measures over sparsity: which trials belong on one axis, and what each method gives at each sparsity.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 5.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from unlearn_core.experiments.pairing import (
    AVERAGE,
    Place,
    evaluation_of,
    floor_of,
    grouped,
    of_ones_own,
    paired,
    place_at,
    place_of,
    references,
)
from unlearn_core.experiments.trial import CONTROLS, ORIGINAL, REFERENCE, Trial
from unlearn_core.intervals import Mean, student
from unlearn_core.results.closeness import MEASURES, to_retrain

Plain = Mapping[str, Any]
Settings = tuple[tuple[str, str], ...]
"""A method's settings as text, in order."""

QUANTITIES = (*MEASURES, "seconds", "avg_gap")
"""What is drawn over sparsity: the four measures, run time, and the average gap to retraining."""

STEPS = (0.0, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99)
"""The sparsities that a whole sweep has."""


@dataclass(frozen=True, eq=False)
class Family:
    """Trials that share a dense model and what is forgotten, so that they stand on one axis.

    Attributes:
        key: Short, and the same for the same model, images and forgotten classes or share.
        model: Name of the dense model.
        base: Hash of the dense model's weights.
        arch: Architecture.
        data: Data set.
        classes: Forgotten classes; empty for a random share.
        fraction: Random share that is forgotten; 0 for classes.
        draw: Seed of its draw; 0 for classes.
        cells: The trials of each (method, settings, place), one a seed.
        retrained: Every retrained model, by place.
    """

    key: str
    model: str
    base: str
    arch: str
    data: str
    classes: tuple[str, ...]
    fraction: float
    draw: int
    cells: Mapping[tuple[str, Settings, Place], tuple[Trial, ...]]
    retrained: Mapping[Place, tuple[Trial, ...]]

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All of them."""
        return tuple(t for cell in self.cells.values() for t in cell)

    @property
    def stored(self) -> bool:
        """Whether some of them came with the app: their seconds are another machine's than those of one's own runs."""
        return any(t.stored for t in self.trials)

    @property
    def forgets(self) -> str:
        """What is forgotten, in words."""
        if self.classes:
            return f"class{'es' if len(self.classes) > 1 else ''} {', '.join(self.classes)}"
        return f"a random {self.fraction:.0%} of the images{f', draw {self.draw}' if self.draw else ''}"

    @property
    def label(self) -> str:
        """Model and what is forgotten, in words."""
        return f"{self.model}, forgetting {self.forgets}"


@dataclass(frozen=True)
class Series:
    """One method under one choice of settings.

    Attributes:
        method: Name in the registry.
        params: Its settings; empty for retraining, whose recipe is the model's.
        usual: Whether, of this method's series, it has the most trials: the one to show without being asked.
    """

    method: str
    params: Settings
    usual: bool


def families(trials: Iterable[Trial]) -> list[Family]:
    """The trials by dense model and what is forgotten, those with the most sparsities first; what is twice counts once."""
    groups: dict[tuple[Any, ...], list[Trial]] = defaultdict(list)
    for t in trials:
        groups[t.base, *t.scenario, t.draw].append(t)
    found = [_family(group) for group in groups.values()]
    return sorted(found, key=lambda f: (-len(places(f)), -len(f.trials), f.label))


def places(family: Family) -> list[Place]:
    """All sparsities that something was measured at, the dense model first."""
    return sorted({place for _, _, place in family.cells})


def series_of(family: Family) -> list[Series]:
    """Every method that was measured, retraining first, each under every choice of settings; the untouched model is left out."""
    counts: dict[str, dict[Settings, int]] = defaultdict(lambda: defaultdict(int))
    for (method, settings, _), cell in family.cells.items():
        if method not in CONTROLS:
            counts[method][settings] += len(cell)
    found = []
    for method in sorted(counts, key=lambda m: (m != REFERENCE, m)):
        ranked = sorted(counts[method], key=lambda settings: (-counts[method][settings], settings))
        found += [Series(method, settings, settings == ranked[0]) for settings in ranked]
    return found


def told_apart(one: Series, others: Sequence[Series]) -> dict[str, str]:
    """The settings by which a series differs from others of its method."""
    same = [dict(s.params) for s in others if s.method == one.method]
    return {k: v for k, v in one.params if any(other.get(k) != v for other in same)}


def trials_at(family: Family, series: Series, place: Place) -> tuple[Trial, ...]:
    """One trial a seed."""
    return family.cells.get((series.method, series.params, place), ())


def retrained_at(family: Family, place: Place) -> tuple[Trial, ...]:
    """The retrained models there, one a seed."""
    return family.cells.get((REFERENCE, (), place), ())


def avg_gap(family: Family, trial: Trial) -> float | None:
    """Mean distance to retraining under the same mask over UA, MIA, RA and TA, in [0, 1]; None where something is missing."""
    reference = paired(trial, family.retrained.get(place_of(trial), ()))
    if reference is None:
        return None
    found: float | None = to_retrain(evaluation_of(trial), evaluation_of(reference))[AVERAGE]
    return found


def values_at(family: Family, series: Series, place: Place) -> dict[str, Mean]:
    """Each quantity's mean and 95 % interval over seeds; a count of 0 where it wasn't measured.

    Seconds are one machine's: those of the stored trials, where there are any.
    """
    there = trials_at(family, series, place)
    found = {name: [getattr(t, name) for t in there] for name in MEASURES}
    found["seconds"] = [t.seconds for t in there if bool(t.stored) == family.stored]
    found["avg_gap"] = [] if series.method == REFERENCE else [avg_gap(family, t) for t in there]
    return {name: student([v for v in values if v is not None]) for name, values in found.items()}


def floor_at(family: Family, place: Place) -> float | None:
    """How far retraining without the same images lies from itself, on average over the measures; None below two seeds."""
    return floor_of(retrained_at(family, place))[AVERAGE]


def course(family: Family, chosen: Sequence[Series], names: Mapping[Series, str]) -> list[dict[str, Any]]:
    """One row a series, sparsity and quantity; what wasn't measured has none. Shares and gaps in per cent.

    Args:
        family: Of the trials.
        chosen: The series.
        names: What each is called.
    """
    rows = []
    for series in chosen:
        for place in places(family):
            for quantity, value in values_at(family, series, place).items():
                if value.count:
                    rows.append(
                        {
                            **_row(quantity, value),
                            **_where(place),
                            "series": names[series],
                            "method": series.method,
                        }
                    )
    return rows


def change(family: Family, series: Series, place: Place, quantity: str = "avg_gap") -> dict[str, Any] | None:
    """A series' quantity at a sparsity against the dense model, seed by seed; None where one of them is missing.

    Returns:
        dense, sparse: Means. difference: The mean of sparse less dense, with `low` and `high` of its 95 % interval, NaN
        for fewer than two seeds in both. clear: Whether the interval leaves 0 out. seeds: How many are in both.
    """
    both = [_by_seed(family, series, where, quantity) for where in ((0.0, ""), place)]
    shared = sorted(set(both[0]) & set(both[1]))
    if not shared:
        return None
    dense, sparse = ([side[s] for s in shared] for side in both)
    moved = student([b - a for a, b in zip(dense, sparse, strict=True)])
    return {
        "dense": fmean(dense),
        "sparse": fmean(sparse),
        "difference": moved.estimate,
        "low": moved.low,
        "high": moved.high,
        "clear": 0.0 not in moved,
        "seeds": len(shared),
    }


def missing(
    family: Family | None, methods: Sequence[str], sparsities: Sequence[float], sparsifier: str
) -> list[tuple[float, str]]:
    """The (sparsity, method) pairs that nothing was measured at, sparsity by sparsity; retraining comes first at each."""
    wanted = list(dict.fromkeys([REFERENCE, *methods]))
    there = {(where, method) for method, _, where in (family.cells if family else ())}
    return [
        (s, method) for s in sparsities for method in wanted if (place_at(s, sparsifier), method) not in there
    ]


def nearest(found: Sequence[Place], sparsity: float) -> Place | None:
    """The sparse place closest to a sparsity; None where all there is is dense."""
    sparse = [place for place in found if place[0]]
    return min(sparse, key=lambda place: abs(place[0] - sparsity)) if sparse else None


def finding(family: Family, label: str, series: Series, place: Place) -> str:
    """What sparsity does to a method's average gap to retraining, as a sentence that says how sure it is."""
    found = change(family, series, place)
    if found is None:
        return ""
    dense, sparse = 100 * found["dense"], 100 * found["sparse"]
    where = f"At {100 * place[0]:.4g} % sparsity"
    move = "falls" if sparse < dense else "rises"
    told = f"{where} the gap of {label} to retraining {move} from {dense:.1f} to {sparse:.1f} points"
    seeds = found["seeds"]
    if seeds < 2:
        return f"{told}, by one seed: that may be chance."
    if found["clear"]:
        return f"{told} ({seeds} seeds, 95 % interval of the change {_span(found)})."
    return (
        f"{where} the gap of {label} to retraining is {sparse:.1f} points against {dense:.1f} for the dense model: "
        f"no clear change over {seeds} seeds (95 % interval {_span(found)})."
    )


def _span(found: Plain) -> str:
    return f"{100 * found['low']:+.1f} to {100 * found['high']:+.1f}".replace("-", "−")


def _by_seed(family: Family, series: Series, place: Place, quantity: str) -> dict[int, float]:
    there = trials_at(family, series, place)
    values = {t.seed: avg_gap(family, t) if quantity == "avg_gap" else getattr(t, quantity) for t in there}
    return {seed: float(value) for seed, value in values.items() if value is not None}


def _row(quantity: str, value: Mean) -> dict[str, Any]:
    scale = 1 if quantity == "seconds" else 100
    low, high = value.ends(scale)
    return {
        "quantity": quantity,
        "mean": scale * value.estimate,
        "low": low,
        "high": high,
        "seeds": value.count,
    }


def _where(place: Place) -> dict[str, Any]:
    return {"sparsity": 100 * place[0], "sparsifier": place[1]}


def _family(trials: Sequence[Trial]) -> Family:
    first = next((t for t in trials if not t.sparsity), trials[0])
    key = hashlib.sha256(json.dumps([first.base, *first.scenario, first.draw]).encode()).hexdigest()[:12]
    cells: dict[tuple[str, Settings, Place], dict[int, Trial]] = defaultdict(dict)
    # Retraining is one series: settings of somebody's own count only where there are no others.
    for t in sorted(trials, key=of_ones_own):
        cells[t.method, _settings(t), place_of(t)].setdefault(t.seed, t)
    kept = {k: tuple(by_seed.values()) for k, by_seed in cells.items()}
    retrained: dict[Place, list[Trial]] = defaultdict(list)
    for t in references(grouped(trials)):
        retrained[place_of(t)].append(t)
    about = (first.model, first.base, first.arch, first.data, first.classes, first.fraction, first.draw)
    return Family(key, *about, kept, {place: tuple(there) for place, there in retrained.items()})


def _settings(trial: Trial) -> Settings:
    """The settings as text, to be compared; a retrained model's recipe comes with the model and isn't the method's."""
    if trial.method in (REFERENCE, ORIGINAL):
        return ()
    return tuple(sorted((k, str(v)) for k, v in trial.params.items()))
