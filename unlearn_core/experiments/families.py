"""Which trials stand on one axis over sparsity: families of one dense model and forget set, and their series.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 5.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from unlearn_core.experiments.grouping import (
    Level,
    Scenario,
    dense_first,
    grouped,
    level_of,
    one_a_seed,
    scenarios,
    short,
)
from unlearn_core.experiments.pairing import references, standard
from unlearn_core.experiments.trial import ORIGINAL, Trial, is_control
from unlearn_core.unlearning.registry import REFERENCE
from unlearn_core.words import trimmed_percent

Settings = tuple[tuple[str, str], ...]
"""A method's settings as text, in order."""


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
