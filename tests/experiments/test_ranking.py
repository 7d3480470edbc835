"""The sentence over the table, checked against the numbers it is made of."""

from collections.abc import Callable

import pytest

from unlearn_core.experiments.ranking import closest
from unlearn_core.experiments.table import Row, table
from unlearn_core.experiments.trial import Trial

Make = Callable[..., Trial]


def named(row: Row) -> str:
    return row.method


def retrained(trial: Make) -> list[Trial]:
    """Two seeds that differ by 2 points of TA: a floor of half a point on average."""
    return [trial("retrain", seed=0, ta=0.94), trial("retrain", seed=1, ta=0.96)]


def test_the_closest_method_its_time_and_the_next_outside_the_noise(trial: Make) -> None:
    text = closest(table([*retrained(trial), trial("scrub", ua=1.0), trial("fine_tune")]), named)
    assert text.startswith(
        "scrub is closest to retraining: 6.0 points off on average with one seed, in 50 % of its time;"
    )
    assert "next is fine_tune with 8.5, a difference outside the noise." in text
    assert "Retraining itself differs by 0.50 points from seed to seed." in text


def test_a_next_one_inside_the_noise(trial: Make) -> None:
    text = closest(table([*retrained(trial), trial("scrub", ua=0.91), trial("fine_tune")]), named)
    assert "next is fine_tune with 8.5, a difference inside the noise." in text


def test_one_seed_of_retraining_leaves_the_noise_unknown(trial: Make) -> None:
    text = closest(table([trial("retrain"), trial("scrub"), trial("fine_tune", ua=0.5)]), named)
    assert "whether that is noise, only two retrainings without the same images could say" in text


def test_a_control_that_is_as_close_is_named(trial: Make) -> None:
    close = closest(table([*retrained(trial), trial("fine_tune"), trial("mask_logit")]), named)
    assert close.endswith("As close without forgetting anything inside: mask_logit.")
    far = closest(table([*retrained(trial), trial("fine_tune"), trial("mask_logit", ua=0.0)]), named)
    assert "mask_logit" not in far


@pytest.mark.parametrize("control", ["random_prune", "federated_random_prune"])
def test_pruning_at_random_did_change_the_inside(trial: Make, control: str) -> None:
    rows = table([*retrained(trial), trial("fine_tune"), trial(control)])
    assert {r.method: r.kind for r in rows}[control] == "control"
    assert "random_prune" not in closest(rows, named)


def test_slower_than_retraining_is_said(trial: Make) -> None:
    text = closest(table([trial("retrain"), trial("influence", seconds=25.0)]), named)
    assert "though it takes 2.5 times as long; no other method is here to compare." in text


def test_without_retraining_nothing_is_claimed(trial: Make) -> None:
    assert closest(table([trial("fine_tune")]), named).startswith(
        "One method was measured, but no retrained model"
    )
    assert closest(table([trial("fine_tune"), trial("scrub")]), named).startswith("2 methods were measured")


def test_no_method_with_all_four_measures(trial: Make) -> None:
    assert closest(table([trial("retrain"), trial("fine_tune", mia=None)]), named).startswith(
        "Retraining is here, but no method"
    )


def test_a_reference_of_one_seed_borrows_the_noise_of_the_next_ones(trial: Make) -> None:
    sparse = {"sparsity": 0.95, "sparsifier": "omp"}
    trials = [
        *retrained(trial),
        trial("fine_tune"),
        trial("retrain", **sparse),
        trial("scrub", ua=1.0, **sparse),
    ]
    assert "next is fine_tune with 8.5, a difference outside the noise." in closest(table(trials), named)
