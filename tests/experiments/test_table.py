"""Rows of trials, against gaps worked by hand and Student's interval of scipy."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from unlearn_core.experiments.grouping import scenarios
from unlearn_core.experiments.pairing import AVERAGE
from unlearn_core.experiments.table import Row, table
from unlearn_core.experiments.trial import STORED, Trial

Make = Callable[..., Trial]


def row_of(rows: list[Row], method: str) -> Row:
    (found,) = [r for r in rows if r.method == method]
    return found


def test_gaps_are_those_of_the_hand_table(trial: Make) -> None:
    row = row_of(table([trial("fine_tune"), trial("retrain")]), "fine_tune")
    gaps = {name: known.estimate for name, known in row.gaps.items()}
    assert gaps == pytest.approx({"ua": 0.1, "mia": 0.2, "ra": 0.02, "ta": 0.02, AVERAGE: 0.085})
    assert row.signed == pytest.approx({"ua": -0.1, "mia": -0.2, "ra": -0.02, "ta": -0.02})
    assert row.tow.estimate == pytest.approx(0.9 * 0.98 * 0.98)
    assert row.tow_mia.estimate == pytest.approx(0.8 * 0.98 * 0.98)


def test_seeds_make_one_row_with_students_interval(trial: Make) -> None:
    stats = pytest.importorskip("scipy.stats")
    accuracies = (0.92, 0.90, 0.97)
    trials = [trial("fine_tune", seed=s, ta=ta) for s, ta in enumerate(accuracies)]
    (row,) = table(trials)
    low, high = stats.t.interval(0.95, 2, loc=row.values["ta"].estimate, scale=stats.sem(accuracies))
    assert row.values["ta"].estimate == pytest.approx(sum(accuracies) / 3)
    assert (row.values["ta"].low, row.values["ta"].high) == pytest.approx((low, high), abs=1e-9)
    assert [t.seed for t in row.trials] == [0, 1, 2]


def test_each_seed_is_measured_by_the_retraining_of_its_own(trial: Make) -> None:
    """Both are off by 2 points to opposite sides: the distance of the means would be 0."""
    trials = [
        trial("retrain", seed=0, ta=0.90),
        trial("retrain", seed=1, ta=0.94),
        trial("fine_tune", seed=0, ta=0.92),
        trial("fine_tune", seed=1, ta=0.92),
    ]
    row = row_of(table(trials), "fine_tune")
    assert row.gaps["ta"].estimate == pytest.approx(0.02)
    assert row.signed["ta"] == pytest.approx(0.0)
    assert not row.remarks


def test_a_random_share_is_measured_by_the_retraining_of_the_same_images(trial: Make) -> None:
    share = {"classes": (), "fraction": 0.1}
    trials = [
        trial("retrain", seed=0, digest="first", ua=0.05, **share),
        trial("retrain", seed=1, digest="second", ua=0.09, **share),
        trial("fine_tune", seed=1, digest="second", ua=0.09, **share),
        trial("fine_tune", seed=2, digest="third", ua=0.5, **share),
    ]
    row = row_of(table(trials), "fine_tune")
    assert row.gaps["ua"].estimate == pytest.approx(0.0)
    assert row.gaps["ua"].count == 1
    assert row.values["ua"].count == 2


def test_the_noise_floor_is_retraining_against_itself(trial: Make) -> None:
    trials = [
        trial("retrain", seed=0, ta=0.94),
        trial("retrain", seed=1, ta=0.96),
        trial("fine_tune", seed=0, ua=1.0, mia=1.0, ra=0.99, ta=0.95),
    ]
    rows = table(trials)
    row = row_of(rows, "fine_tune")
    assert row.floor == pytest.approx({"ua": 0.0, "mia": 0.0, "ra": 0.0, "ta": 0.02, AVERAGE: 0.005})
    assert row.inside == {"ua", "mia", "ta", AVERAGE}
    alone = row_of(table([trials[0], trials[2]]), "fine_tune")
    assert alone.floor[AVERAGE] is None
    assert not alone.inside


def test_two_forget_sets_have_no_noise_between_them(trial: Make) -> None:
    """Each seed of a random share draws its own images: how far these two lie apart says nothing of retraining."""
    share = {"classes": (), "fraction": 0.1}
    trials = [
        trial("retrain", seed=0, digest="first", ua=0.05, **share),
        trial("retrain", seed=1, digest="second", ua=0.09, **share),
        trial("fine_tune", seed=0, digest="first", ua=0.06, **share),
    ]
    row = row_of(table(trials), "fine_tune")
    assert set(row.floor.values()) == {None} and not row.inside
    again = trial("retrain", seed=2, digest="second", ua=0.11, **share)
    assert row_of(table([*trials, again]), "fine_tune").floor["ua"] == pytest.approx(0.02)


def test_a_strict_mask_and_one_that_leaks_are_rows_of_their_own(trial: Make) -> None:
    leaking = {"sparsity": 0.95, "sparsifier": "omp"}
    strict = {"sparsity": 0.95, "sparsifier": "omp, strict"}
    trials = [
        trial("retrain"),
        trial("retrain", ta=0.91, **leaking),
        trial("fine_tune", **leaking),
        trial("fine_tune", **strict),
    ]
    rows = {r.sparsifier: r for r in table(trials) if r.method == "fine_tune"}
    assert rows["omp"].gaps["ta"].estimate == pytest.approx(0.01)
    assert rows["omp, strict"].gaps["ta"].estimate == pytest.approx(0.02)
    assert rows["omp, strict"].remarks == ("dense retraining",)


def test_a_sparse_model_is_measured_by_retraining_as_sparse_else_by_dense(trial: Make) -> None:
    sparse = {"sparsity": 0.95, "sparsifier": "omp"}
    trials = [trial("retrain"), trial("fine_tune", **sparse), trial("retrain", ta=0.91, **sparse)]
    row = row_of(table(trials), "fine_tune")
    assert row.gaps["ta"].estimate == pytest.approx(0.01)
    assert not row.remarks
    without = row_of(table(trials[:2]), "fine_tune")
    assert without.gaps["ta"].estimate == pytest.approx(0.02)
    assert without.remarks == ("dense retraining",)
    dense = row_of(table([trial("fine_tune"), trials[2]]), "fine_tune")
    assert not dense.reference, "a dense model has nothing in common with retraining under a mask"


def test_times_are_told_by_what_they_are_shares_of(trial: Make) -> None:
    course = ((2.0, 0.5), (4.0, 0.93), (10.0, 0.94))
    trials = [
        trial("retrain", course=course),
        trial("fine_tune", params={"epochs": 10}, seconds=5.0),
        trial("tfidf_prune", seconds=3.0, preparing=1.0),
        trial("scrub", ta=0.99),
    ]
    rows = table(trials)
    pruned = row_of(rows, "tfidf_prune")
    assert pruned.share == pytest.approx(0.3)
    assert pruned.share_same == pytest.approx(3 / 4)
    assert pruned.epochs == pytest.approx(3 / 0.5)
    assert pruned.values["preparing"].estimate == pytest.approx(1.0)
    assert row_of(rows, "scrub").share_same is None, "retraining never reached 99 %"


def test_the_reference_stands_first_and_unknown_gaps_last(trial: Make) -> None:
    trials = [
        trial("salun", mia=None),
        trial("scrub", ua=0.5),
        trial("fine_tune"),
        trial("mask_logit", ua=0.99),
        trial("retrain"),
    ]
    rows = table(trials)
    assert [r.method for r in rows] == ["retrain", "mask_logit", "fine_tune", "scrub", "salun"]
    assert [r.kind for r in rows] == ["reference", "control", "method", "method", "method"]
    assert rows[-1].gap is None
    assert rows[-1].gaps["ua"].estimate == pytest.approx(0.1)


def test_retraining_with_settings_of_ones_own_is_no_reference(trial: Make) -> None:
    short = trial("retrain", params={"epochs": 1}, chosen="by hand", ta=0.5, seconds=1.0)
    rows = table([short, trial("retrain", params={"epochs": 9}), trial("fine_tune")])
    assert [(r.kind, dict(r.changed)) for r in rows if r.method == "retrain"] == [
        ("reference", {"epochs": 9}),
        ("method", {"epochs": 1}),
    ]
    assert row_of(rows, "fine_tune").gaps["ta"].estimate == pytest.approx(0.02)


def test_without_retraining_there_are_values_but_no_gaps(trial: Make) -> None:
    (row,) = table([trial("fine_tune")])
    assert (row.gaps, row.reference, row.share, row.inside) == ({}, "", None, frozenset())
    assert math.isnan(row.tow.estimate)
    assert row.values["ua"].estimate == 0.9


def test_the_same_seed_counts_once_and_the_fuller_trial_wins(trial: Make) -> None:
    poor, full = trial("fine_tune", js=None, mia=None, ta=0.1), trial("fine_tune")
    (row,) = table([poor, full, replace(full, ta=0.2)])
    assert row.trials == (full,)


def test_a_stored_reference_counts_once_however_many_runs_bring_it(trial: Make) -> None:
    brought = [trial("retrain", part="retrain", chosen="", facts={STORED: True}) for _ in range(3)]
    rows = table([*brought, trial("fine_tune", seed=4)])
    assert len(row_of(rows, "retrain").trials) == 1
    row = row_of(rows, "fine_tune")
    assert row.floor[AVERAGE] is None
    assert row.remarks == ("another seed", "its seconds are another machine's")


def test_a_study_keeps_rows_of_its_own(trial: Make) -> None:
    rows = table([trial("fine_tune", seconds=1.0), trial("fine_tune", source="a-study", seconds=100.0)])
    assert sorted((r.stored, r.values["seconds"].estimate) for r in rows) == [("", 1.0), ("a-study", 100.0)]


def test_scenarios_part_what_cannot_be_compared(trial: Make) -> None:
    sparse = trial("fine_tune", model="net-omp-95", sparsity=0.95)
    found = scenarios(
        [sparse, trial("retrain"), trial("retrain", classes=("a",)), trial("scrub", base="other")]
    )
    assert [(s.model, s.classes, len(s.trials)) for s in found] == [
        ("net", ("b",), 2),
        ("net", ("a",), 1),
        ("net", ("b",), 1),
    ]
    assert len({s.key for s in found}) == 3
    assert found[0].key == scenarios([trial("salun")])[0].key, "the address holds when more is measured"


def test_what_clients_made_is_measured_by_what_the_same_clients_retrained(trial: Make) -> None:
    clients = {"clients": 10, "partition": "iid"}
    federated = [
        trial("federated_retrain", params={**clients, "rounds": 15}, ta=0.9),
        trial("federated_retrain", params={**clients, "partition": "shards:2", "rounds": 15}, ta=0.5),
    ]
    ours = trial("federated_tfidf_prune", params={**clients, "rounds": 5}, ta=0.91)
    rows = table([trial("retrain", ta=0.8), trial("fine_tune", ta=0.8), ours, *federated])
    row = row_of(rows, "federated_tfidf_prune")
    assert row.gaps["ta"].estimate == pytest.approx(0.01) and row.remarks == ()
    assert row_of(rows, "fine_tune").gaps["ta"].estimate == 0, "one place is measured by one place"
    alone = row_of(table([trial("retrain", ta=0.8), ours]), "federated_tfidf_prune")
    assert alone.remarks == ("retraining in one place",)
    other = row_of(table([federated[1], ours]), "federated_tfidf_prune")
    assert other.remarks == ("retraining by other clients",)


def test_other_rounds_or_clients_are_no_other_seed(trial: Make) -> None:
    runs = [trial("federated_tfidf_prune", seed=i, params={"clients": 10, "rounds": 1 + i}) for i in range(2)]
    assert len(table(runs)) == 2
