"""Measures over sparsity: which trials belong on one axis, and what each method gives at each sparsity.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 5.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from unlearn_core.experiments.grouping import (
    DENSE,
    Level,
    Scenario,
    dense_first,
    grouped,
    level_at,
    level_of,
    one_a_seed,
    scenarios,
    short,
)
from unlearn_core.experiments.pairing import AVERAGE, floor_of, measures_of, paired, references, standard
from unlearn_core.experiments.trial import ORIGINAL, Trial, is_control
from unlearn_core.intervals import Mean, student
from unlearn_core.results.closeness import MEASURES, to_retrain
from unlearn_core.unlearning.registry import REFERENCE
from unlearn_core.words import figure, signed, span, trimmed_percent

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
        key: Its scenario's; of another draw of a random share, one of its own.
        model: Name of the dense model.
        base: Hash of the dense model's weights.
        arch: Architecture.
        data: Data set.
        classes: Forgotten classes; empty for a random share.
        fraction: Random share that is forgotten; 0 for classes.
        draw: Seed of its draw; 0 for classes.
        cells: The trials of each (method, settings, level), one a seed.
        retrained: Every retrained model, by level.
    """

    key: str
    model: str
    base: str
    arch: str
    data: str
    classes: tuple[str, ...]
    fraction: float
    draw: int
    cells: Mapping[tuple[str, Settings, Level], tuple[Trial, ...]]
    retrained: Mapping[Level, tuple[Trial, ...]]

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
        return f"a random {trimmed_percent(self.fraction)} of the images{f', draw {self.draw}' if self.draw else ''}"

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
    """The trials by dense model and what is forgotten, those with the most sparsities first; what is twice counts once.

    Clients' trials stand on no axis: they forget what is dealt to many, beside another retraining.
    """
    alone = [t for t in trials if not t.federated]
    every = [_family(s.key, of_draw) for s in scenarios(alone) for of_draw in _draws(s)]
    return sorted(every, key=lambda f: (-len(levels(f)), -len(f.trials), f.label))


def swept(trials: Iterable[Trial]) -> list[Family]:
    """The families of all that was measured; a study's trial goes before one's own run of the same seed.

    A curve of seconds is one machine's, and a study's is the longer one.
    """
    return families(sorted(trials, key=lambda trial: not trial.stored))


def levels(family: Family) -> list[Level]:
    """All sparsities that something was measured at, the dense model first."""
    return sorted({level for _, _, level in family.cells})


def series_of(family: Family) -> list[Series]:
    """Every method that was measured, retraining first, each under every choice of settings; the untouched model is left out."""
    counts: dict[str, dict[Settings, int]] = defaultdict(lambda: defaultdict(int))
    for (method, settings, _), cell in family.cells.items():
        if not is_control(method):
            counts[method][settings] += len(cell)
    series = []
    for method in sorted(counts, key=lambda m: (m != REFERENCE, m)):
        ranked = sorted(counts[method], key=lambda settings: (-counts[method][settings], settings))
        series += [Series(method, settings, settings == ranked[0]) for settings in ranked]
    return series


def distinguishing(one: Series, others: Sequence[Series]) -> dict[str, str]:
    """The settings by which a series differs from others of its method."""
    same = [dict(s.params) for s in others if s.method == one.method]
    return {k: v for k, v in one.params if any(other.get(k) != v for other in same)}


def trials_at(family: Family, series: Series, level: Level) -> tuple[Trial, ...]:
    """One trial a seed."""
    return family.cells.get((series.method, series.params, level), ())


def retrained_at(family: Family, level: Level) -> tuple[Trial, ...]:
    """The retrained models there, one a seed."""
    return family.cells.get((REFERENCE, (), level), ())


def avg_gap(family: Family, trial: Trial) -> float | None:
    """Mean distance to retraining under the same mask over UA, MIA, RA and TA, in [0, 1]; None where something is missing."""
    reference = paired(trial, family.retrained.get(level_of(trial), ()))
    if reference is None:
        return None
    return to_retrain(measures_of(trial), measures_of(reference)).avg_gap


def values_at(family: Family, series: Series, level: Level) -> dict[str, Mean]:
    """Each quantity's mean and 95 % interval over seeds; a count of 0 where it wasn't measured.

    Seconds are one machine's: those of the stored trials, where there are any.
    """
    there = trials_at(family, series, level)
    values = {name: [getattr(t, name) for t in there] for name in MEASURES}
    values["seconds"] = [t.seconds for t in there if bool(t.stored) == family.stored]
    values["avg_gap"] = [] if series.method == REFERENCE else [avg_gap(family, t) for t in there]
    return {name: student([v for v in known if v is not None]) for name, known in values.items()}


def floor_at(family: Family, level: Level) -> float | None:
    """How far retraining without the same images lies from itself, on average over the measures; None below two seeds."""
    there = retrained_at(family, level)
    return floor_of(there[0], family.retrained[level])[AVERAGE] if there else None


def curves(family: Family, series: Sequence[Series], names: Mapping[Series, str]) -> list[dict[str, Any]]:
    """One row a series, sparsity and quantity; what wasn't measured has none. Shares and gaps in per cent.

    Args:
        family: Of the trials.
        series: Those to draw.
        names: What each is called.
    """
    return [
        {**_row(quantity, value), **_where(level), "series": names[one], "method": one.method}
        for one in series
        for level in levels(family)
        for quantity, value in values_at(family, one, level).items()
        if value.count
    ]


def change(family: Family, series: Series, level: Level, quantity: str = "avg_gap") -> dict[str, Any] | None:
    """A series' quantity at a sparsity against the dense model, seed by seed; None where one of them is missing.

    Returns:
        dense, sparse: Means. difference: The mean of sparse less dense, with `low` and `high` of its 95 % interval, NaN
        for fewer than two seeds in both. clear: Whether the interval leaves 0 out. seeds: How many are in both.
    """
    both = [_by_seed(family, series, where, quantity) for where in (DENSE, level)]
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
    there = {(level, method) for method, _, level in (family.cells if family else ())}
    return [
        (s, method) for s in sparsities for method in wanted if (level_at(s, sparsifier), method) not in there
    ]


def nearest(candidates: Sequence[Level], sparsity: float) -> Level | None:
    """The sparse level closest to a sparsity; None where all there is is dense."""
    sparse = [level for level in candidates if level.sparsity]
    return min(sparse, key=lambda level: abs(level.sparsity - sparsity)) if sparse else None


def effect(family: Family, label: str, series: Series, level: Level) -> str:
    """What sparsity does to a method's average gap to retraining, as a sentence that says how sure it is."""
    changed = change(family, series, level)
    if changed is None:
        return ""
    dense, sparse = changed["dense"], changed["sparse"]
    where = f"At {trimmed_percent(level.sparsity)} sparsity"
    move = "falls" if sparse < dense else "rises"
    moves = f"{where} the gap of {label} to retraining {move} from {span(dense, sparse)} points"
    seeds = changed["seeds"]
    if seeds < 2:
        return f"{moves}, by one seed: that may be chance."
    if changed["clear"]:
        return f"{moves} ({seeds} seeds, 95 % interval of the change {_span(changed)})."
    return (
        f"{where} the gap of {label} to retraining is {figure(sparse)} points against {figure(dense)} for the dense model: "
        f"no clear change over {seeds} seeds (95 % interval {_span(changed)})."
    )


def _span(changed: Mapping[str, Any]) -> str:
    return f"{signed(100 * changed['low'])} to {signed(100 * changed['high'])}"


def _by_seed(family: Family, series: Series, level: Level, quantity: str) -> dict[int, float]:
    there = trials_at(family, series, level)
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


def _where(level: Level) -> dict[str, Any]:
    return {"sparsity": 100 * level.sparsity, "sparsifier": level.sparsifier}


def _draws(scenario: Scenario) -> list[list[Trial]]:
    """The trials by draw of a random share: another draw forgets other images."""
    by_draw: dict[int, list[Trial]] = defaultdict(list)
    for trial in scenario.trials:
        by_draw[trial.draw].append(trial)
    return list(by_draw.values())


def _family(scenario: str, trials: Sequence[Trial]) -> Family:
    named, groups = dense_first(trials), grouped(trials)
    key = short([scenario, named.draw]) if named.draw else scenario
    about = (named.model, named.base, named.arch, named.data, named.classes, named.fraction, named.draw)
    return Family(key, *about, _cells(groups), _by_level(references(groups)))


def _cells(groups: Mapping[str, Sequence[Trial]]) -> dict[tuple[str, Settings, Level], tuple[Trial, ...]]:
    """The configurations, one a seed wherever it was measured; retraining is one series, by the setting that counts."""
    cells: dict[tuple[str, Settings, Level], list[Trial]] = defaultdict(list)
    for trial in (t for members in groups.values() for t in members):
        cells[trial.method, _settings(trial), level_of(trial)].append(trial)
    return {key: tuple((standard if key[0] == REFERENCE else one_a_seed)(c)) for key, c in cells.items()}


def _by_level(trials: Sequence[Trial]) -> dict[Level, tuple[Trial, ...]]:
    by_level: dict[Level, list[Trial]] = defaultdict(list)
    for trial in trials:
        by_level[level_of(trial)].append(trial)
    return {level: tuple(there) for level, there in by_level.items()}


def _settings(trial: Trial) -> Settings:
    """The settings as text, to be compared; a retrained model's recipe comes with the model and isn't the method's."""
    if trial.method in (REFERENCE, ORIGINAL):
        return ()
    return tuple(sorted((k, str(v)) for k, v in trial.params.items()))
