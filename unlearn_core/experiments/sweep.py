"""Measures over sparsity: what each method gives at each sparsity, and what sparsity changes.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from unlearn_core.experiments.families import Family, Series, levels, retrained_at, trials_at
from unlearn_core.experiments.grouping import DENSE, Level, level_at, level_of
from unlearn_core.experiments.pairing import AVERAGE, floor_of, measures_of, paired
from unlearn_core.experiments.trial import Trial
from unlearn_core.intervals import Mean, student
from unlearn_core.results.closeness import MEASURES, to_retrain
from unlearn_core.unlearning.registry import REFERENCE
from unlearn_core.words import figure, signed, span, trimmed_percent

QUANTITIES = (*MEASURES, "seconds", "avg_gap")
"""What is drawn over sparsity: the four measures, run time, and the average gap to retraining."""

STEPS = (0.0, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99)
"""The sparsities that a whole sweep has."""


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

    Retraining's gap is the noise floor, from 0 upwards.

    Args:
        family: Of the trials.
        series: Those to draw.
        names: What each is called.
    """
    rows = []
    for one in series:
        for level in levels(family):
            for row in rows_at(family, one, level):
                where = {"sparsity": 100 * level.sparsity, "sparsifier": level.sparsifier}
                rows.append({**row, **where, "series": names[one]})
    return rows


def rows_at(family: Family, series: Series, level: Level) -> list[dict[str, Any]]:
    """One row a quantity of a series at one sparsity: `mean`, `low` and `high` in per cent or seconds, and `seeds`."""
    values = values_at(family, series, level).items()
    rows = [_row(quantity, value) for quantity, value in values if value.count]
    floor = floor_at(family, level) if series.method == REFERENCE else None
    if floor is not None:
        ends = {"mean": 100 * floor, "low": 0.0, "high": 100 * floor}
        rows.append({"quantity": "avg_gap", **ends, "seeds": len(trials_at(family, series, level))})
    return [{**row, "method": series.method} for row in rows]


@dataclass(frozen=True)
class Change:
    """A quantity of a series at a sparsity against the dense model, seed by seed.

    Attributes:
        dense: Its mean on the dense model, over the seeds that are in both.
        sparse: Its mean on the sparse models.
        difference: Sparse less dense.
    """

    dense: float
    sparse: float
    difference: Mean

    @property
    def seeds(self) -> int:
        """How many are in both."""
        return self.difference.count

    @property
    def clear(self) -> bool:
        """Whether the interval of the difference leaves 0 out."""
        return 0.0 not in self.difference


def change(family: Family, series: Series, level: Level, quantity: str = "avg_gap") -> Change | None:
    """A series' quantity at a sparsity against the dense model; None where no seed was measured on both."""
    both = [_by_seed(family, series, where, quantity) for where in (DENSE, level)]
    shared = sorted(set(both[0]) & set(both[1]))
    if not shared:
        return None
    dense, sparse = ([side[s] for s in shared] for side in both)
    difference = student([b - a for a, b in zip(dense, sparse, strict=True)])
    return Change(fmean(dense), fmean(sparse), difference)


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
    where = f"At {trimmed_percent(level.sparsity)} sparsity"
    move = "falls" if changed.sparse < changed.dense else "rises"
    moves = (
        f"{where} the gap of {label} to retraining {move} from {span(changed.dense, changed.sparse)} points"
    )
    if changed.seeds < 2:
        return f"{moves}, by one seed: that may be chance."
    interval = f"{signed(100 * changed.difference.low)} to {signed(100 * changed.difference.high)}"
    if changed.clear:
        return f"{moves} ({changed.seeds} seeds, 95 % interval of the change {interval})."
    return (
        f"{where} the gap of {label} to retraining is {figure(changed.sparse)} points against {figure(changed.dense)} for the "
        f"dense model: no clear change over {changed.seeds} seeds (95 % interval {interval})."
    )


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
