"""The schedules of l1-sparse's penalty on the dense model, beside fine-tuning and retraining.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 4.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from unlearn_core.experiments.families import Family, Series, series_of, trials_at
from unlearn_core.experiments.grouping import DENSE
from unlearn_core.experiments.sweep import rows_at
from unlearn_core.unlearning.registry import REFERENCE, short_label
from unlearn_core.words import counted

SCHEDULES = ("decreasing", "constant", "increasing")
_L1, _FINE_TUNING = "l1_sparse", "fine_tune"
_OF_PENALTY = ("penalty", "gamma")

Rows = list[dict[str, Any]]


def rows_of(family: Family) -> Rows:
    """A row a series, weight γ of the penalty and quantity, as `sweep.rows_at` has them; retraining and fine-tuning first."""
    every = series_of(family)
    beside = [s for s in every if s.method in (REFERENCE, _FINE_TUNING) and s.usual]
    rows = [row for series in beside for row in _rows(family, series, short_label(series.method), "")]
    alike = [(dict(s.params), s) for s in every if s.method == _L1 and _alike(s, every)]
    for schedule in SCHEDULES:
        for params, series in alike:
            if params["penalty"] == schedule:
                rows += _rows(family, series, name_of(schedule), params["gamma"])
    return rows


def name_of(schedule: str) -> str:
    """What a schedule's series is called."""
    return f"{short_label(_L1)}, {schedule}"


def missing(rows: Rows) -> list[str]:
    """The schedules that were not measured."""
    names = {row["series"] for row in rows}
    return [schedule for schedule in SCHEDULES if name_of(schedule) not in names]


def best(rows: Rows) -> str:
    """Which schedule comes closest to retraining, against fine-tuning; a sentence."""
    gaps = [r for r in rows if r["quantity"] == "avg_gap"]
    own = [r for r in gaps if r["method"] == _L1]
    tuned = next((r for r in gaps if r["method"] == _FINE_TUNING), None)
    if not own:
        return "Without a retrained model the courses can't be told apart by their gap."
    first = min(own, key=lambda r: r["mean"])
    closest = (
        f"Closest to retraining: {first['series']} at γ = {first['gamma']}, {first['mean']:.1f} points away"
    )
    others = [r["mean"] for r in own if r["series"] != first["series"]]
    runner_up = f"; the next course is {min(others):.1f} away" if others else ""
    seeds = f" ({counted(first['seeds'], 'seed')})."
    if tuned is None:
        return f"{closest}{runner_up}{seeds}"
    word = "no nearer than" if first["mean"] >= tuned["mean"] else "against"
    return f"{closest}, {word} fine-tuning's {tuned['mean']:.1f}{runner_up}{seeds}"


def _rows(family: Family, series: Series, name: str, gamma: str) -> Rows:
    """With the share of weights that ended near zero, in per cent."""
    shares = [t.facts.get("sparsity") for t in trials_at(family, series, DENSE)]
    small = [100 * share for share in shares if share is not None]
    more = {"series": name, "gamma": gamma, "small": fmean(small) if small else None}
    return [{**row, **more} for row in rows_at(family, series, DENSE)]


def _alike(series: Series, every: Sequence[Series]) -> bool:
    """Whether, but for course and weight of the penalty, it ran under the settings that most runs did."""
    usual = next(s for s in every if s.method == series.method and s.usual)
    same = [{k: v for k, v in s.params if k not in _OF_PENALTY} for s in (series, usual)]
    return same[0] == same[1]
