"""One truth for both pages: what Compare's table and the curves over sparsity make of the same trials."""

from collections.abc import Callable

import pytest

from unlearn_core.experiments.families import families, series_of
from unlearn_core.experiments.grouping import DENSE
from unlearn_core.experiments.pairing import AVERAGE
from unlearn_core.experiments.sweep import floor_at, values_at
from unlearn_core.experiments.table import table
from unlearn_core.experiments.trial import Trial

Make = Callable[..., Trial]


def in_the_sweep(trials: list[Trial], method: str, quantity: str) -> float:
    (family,) = families(trials)
    series = next(s for s in series_of(family) if s.method == method)
    return values_at(family, series, DENSE)[quantity].estimate


def test_of_two_trials_of_one_seed_both_take_the_more_complete(trial: Make) -> None:
    poor = trial("fine_tune", mia=None, js=None, ta=0.1)
    trials = [poor, trial("fine_tune", ta=0.8), trial("retrain")]
    (row,) = [r for r in table(trials) if r.method == "fine_tune"]
    assert row.values["ta"].estimate == 0.8
    assert in_the_sweep(trials, "fine_tune", "ta") == 0.8
    assert in_the_sweep(trials, "fine_tune", "avg_gap") == pytest.approx(row.gap)


def test_both_know_the_same_noise_floor_wherever_retraining_was_measured(trial: Make) -> None:
    trials = [
        trial("retrain", seed=0, ta=0.90),
        trial("retrain", seed=1, ta=0.94, source="a-study"),
        trial("retrain", seed=2, ta=0.5, params={"epochs": 1}, chosen="by hand"),
        trial("fine_tune", seed=0, ta=0.91),
    ]
    (family,) = families(trials)
    (row,) = [r for r in table(trials) if r.method == "fine_tune"]
    assert row.floor["ta"] == pytest.approx(0.04)
    assert row.floor[AVERAGE] == pytest.approx(0.01) == pytest.approx(floor_at(family, DENSE))
