"""Trials over sparsity, against numbers worked by hand."""

import math
from dataclasses import replace

import pytest

from unlearn_core.experiments.families import (
    distinguishing,
    families,
    levels,
    retrained_at,
    series_of,
    trials_at,
)
from unlearn_core.experiments.grouping import DENSE, Level, level_of
from unlearn_core.experiments.sweep import (
    avg_gap,
    change,
    curves,
    effect,
    floor_at,
    missing,
    nearest,
    values_at,
)
from unlearn_core.experiments.table import table
from unlearn_core.experiments.trial import Trial

SPARSE = Level(0.95, "omp")


def trial(method, sparsity=0.0, seed=0, values=(0.1, 0.2, 0.9, 0.8), *, seconds=1.0, **changes):
    shares = dict(zip(("ua", "mia", "ra", "ta"), values, strict=True))
    made = Trial(
        source="study", part="after", method=method, params={}, chosen="", model="net", base="base", arch="a",
        data="digits", data_digest="images", classes=("3",), fraction=0.0, digest="forget", seed=seed,
        sparsity=sparsity, sparsifier="omp" if sparsity else "", seconds=seconds, preparing=None, **shares,
        forget_test=None, per_class=(), per_class_total=(), names=(), mia_privacy=None, loss_attack=None, js=None,
        agreement=None, facts={},
    )  # fmt: skip
    return replace(made, **changes)


def family_of(*trials):
    (found,) = families(trials)
    return found


def series(family, method, **params):
    wanted = {k: str(v) for k, v in params.items()}
    return next(
        s for s in series_of(family) if s.method == method and wanted.items() <= dict(s.params).items()
    )


@pytest.fixture
def swept():
    """Retraining and fine-tuning, dense and at 95 %, under two seeds; fine-tuning is 8 points off, then 2."""
    trials = []
    for seed in (0, 1):
        shift = 0.02 * seed
        for sparsity, off in ((0.0, 0.08), (0.9501, 0.02)):
            at = (0.5 + shift, 0.5 + shift, 0.9 + shift, 0.9 + shift)
            trials.append(trial("retrain", sparsity, seed, at))
            trials.append(trial("fine_tune", sparsity, seed, tuple(v - off - 0.002 * seed for v in at)))
    return family_of(*trials)


def test_what_shares_model_and_forget_set_is_one_family():
    one = trial("retrain")
    found = families(
        [
            one,
            trial("retrain", 0.95),
            replace(one, classes=("5",)),
            replace(one, base="other"),
            replace(one, classes=(), fraction=0.1),
        ]
    )
    assert sorted(len(f.trials) for f in found) == [1, 1, 1, 2]
    assert levels(found[0]) == [DENSE, SPARSE]  # the one with most sparsities first
    assert {f.forgets for f in found} == {"class 3", "class 5", "a random 10 % of the images"}


def test_what_is_there_twice_counts_once():
    family = family_of(
        trial("retrain", source="study"), trial("retrain", source="run"), trial("retrain", seed=1)
    )
    assert [t.source for t in trials_at(family, series(family, "retrain"), DENSE)] == ["study", "study"]


def test_measured_sparsities_of_one_asked_for_share_a_place():
    assert level_of(trial("fisher", 0.95004)) == level_of(trial("fisher", 0.94998)) == SPARSE


def test_a_method_under_two_settings_is_two_series_and_the_more_measured_one_is_usual():
    family = family_of(
        trial("fine_tune", params={"lr": 0.1, "epochs": 3}),
        trial("fine_tune", params={"lr": 0.01, "epochs": 3}),
        trial("fine_tune", seed=1, params={"lr": 0.01, "epochs": 3}),
        trial("original"),
    )
    usual, other = series(family, "fine_tune", lr=0.01), series(family, "fine_tune", lr=0.1)
    assert usual.usual and not other.usual
    assert {s.method for s in series_of(family)} == {"fine_tune"}
    assert distinguishing(other, [usual]) == {"lr": "0.1"}


def test_retraining_is_one_series_whatever_recipe_its_card_told():
    family = family_of(trial("retrain", params={"lr": 0.1}), trial("retrain", 0.95, params={"lr": 0.2}))
    assert [s.params for s in series_of(family)] == [()]


def test_gaps_are_to_the_retrained_model_of_the_same_sparsity_and_seed(swept):
    tuned = trials_at(swept, series(swept, "fine_tune"), DENSE)
    assert [round(avg_gap(swept, t), 6) for t in tuned] == [0.08, 0.082]
    sparse = values_at(swept, series(swept, "fine_tune"), SPARSE)["avg_gap"]
    assert (sparse.estimate, sparse.count) == (pytest.approx(0.021), 2)
    assert values_at(swept, series(swept, "retrain"), DENSE)["avg_gap"].count == 0


def test_without_a_retrained_model_of_the_seed_another_one_of_the_same_images_stands_in():
    family = family_of(
        trial("retrain", seed=0, values=(0.2,) * 4, digest="other images"),
        trial("retrain", seed=1, values=(0.4,) * 4),
        trial("fisher", seed=7, values=(0.5,) * 4),
    )
    (fisher,) = trials_at(family, series(family, "fisher"), DENSE)
    assert avg_gap(family, fisher) == pytest.approx(0.1)
    assert avg_gap(family_of(fisher), fisher) is None
    assert avg_gap(family_of(fisher, trial("retrain", digest="other images")), fisher) is None


def test_the_table_and_the_sweep_give_the_same_gaps():
    """Retraining with settings of somebody's own, newer and of the same seed, and one that was measured elsewhere."""
    own = "20260101T000000Z-abcdefghijklmnop"
    trials = [
        trial("retrain", source=own, params={"epochs": 1}, chosen="by hand", values=(0.9,) * 4),
        trial("retrain", source=own, params={"epochs": 9}, values=(0.3,) * 4),
        trial("retrain", params={"epochs": 9}, values=(0.2,) * 4),
        trial("fine_tune", source=own, values=(0.5,) * 4),
        trial("fisher", values=(0.6,) * 4),
    ]
    family = family_of(*trials)
    rows = {r.method: r.gap for r in table(trials)}
    for method, gap in (("fine_tune", 0.2), ("fisher", 0.4)):
        found = values_at(family, series(family, method), DENSE)["avg_gap"]
        assert found.estimate == pytest.approx(gap) == pytest.approx(rows[method])
    (drawn,) = retrained_at(family, DENSE)
    assert drawn.ua == 0.3  # not what somebody tried


def test_a_strict_mask_is_a_place_of_its_own():
    strict = trial("fine_tune", 0.95, sparsifier="omp, strict")
    family = family_of(trial("retrain", 0.95), trial("fine_tune", 0.95), strict)
    assert levels(family) == [SPARSE, Level(0.95, "omp, strict")]
    assert avg_gap(family, strict) is None  # retraining under the other mask is no reference


def test_under_a_random_share_there_is_no_noise_floor():
    share = {"classes": (), "fraction": 0.1}
    apart = [trial("retrain", seed=s, digest=str(s), values=(0.1 * s,) * 4, **share) for s in (0, 1)]
    assert floor_at(family_of(*apart), DENSE) is None


def test_the_noise_floor_is_how_far_seeds_of_retraining_lie_apart(swept):
    assert floor_at(swept, DENSE) == pytest.approx(0.02)
    assert floor_at(family_of(trial("retrain")), DENSE) is None


def test_the_change_is_paired_by_seed(swept):
    found = change(swept, series(swept, "fine_tune"), SPARSE)
    assert (found.dense, found.sparse) == (pytest.approx(0.081), pytest.approx(0.021))
    assert found.difference.estimate == pytest.approx(-0.06)
    # The seeds shift both alike: their difference is the same to the last digit, so the interval is a point.
    assert found.difference.low == pytest.approx(found.difference.high) and found.clear
    assert change(swept, series(swept, "fine_tune"), Level(0.5, "omp")) is None


def test_the_finding_says_falls_rises_or_that_nobody_can_tell(swept):
    told = effect(swept, "fine-tuning", series(swept, "fine_tune"), SPARSE)
    assert told.startswith(
        "At 95 % sparsity the gap of fine-tuning to retraining falls from 8.1 to 2.1 points"
    )

    def family(offs):
        trials = []
        for seed, (dense, sparse) in enumerate(offs):
            for sparsity, off in ((0.0, dense), (0.95, sparse)):
                trials += [
                    trial("retrain", sparsity, seed, (0.5,) * 4),
                    trial("fine_tune", sparsity, seed, (0.5 - off,) * 4),
                ]
        return family_of(*trials)

    up = family([(0.02, 0.06), (0.02, 0.061)])
    assert "rises from 2.0 to" in effect(up, "FT", series(up, "fine_tune"), SPARSE)
    unsure = family([(0.02, 0.06), (0.05, 0.01)])
    assert "no clear change over 2 seeds" in effect(unsure, "FT", series(unsure, "fine_tune"), SPARSE)
    single = family([(0.02, 0.06)])
    assert "by one seed: that may be chance" in effect(single, "FT", series(single, "fine_tune"), SPARSE)
    assert effect(family_of(trial("fine_tune")), "FT", series(single, "fine_tune"), SPARSE) == ""


def test_rows_are_in_per_cent_and_an_interval_needs_two_seeds(swept):
    family = family_of(*swept.trials, trial("fisher", seconds=3.0))
    names = {s: s.method for s in series_of(family)}
    rows = {(r["series"], r["sparsity"], r["quantity"]): r for r in curves(family, list(names), names)}
    tuned = rows["fine_tune", 95.0, "ra"]
    assert tuned["mean"] == pytest.approx(100 * (0.88 + 0.898) / 2)
    assert tuned["low"] < tuned["mean"] < tuned["high"] and tuned["seeds"] == 2
    alone = rows["fisher", 0.0, "seconds"]
    assert (alone["mean"], alone["low"], alone["high"]) == (3.0, None, None)
    assert ("fisher", 95.0, "ra") not in rows
    assert not any(isinstance(v, float) and math.isnan(v) for r in rows.values() for v in r.values())


def test_what_is_missing_begins_with_retraining(swept):
    assert missing(swept, ["fine_tune", "fisher"], [0.0, 0.95], "omp") == [(0.0, "fisher"), (0.95, "fisher")]
    assert missing(swept, ["fine_tune"], [0.95], "synflow") == [(0.95, "retrain"), (0.95, "fine_tune")]
    assert missing(None, ["fisher"], [0.0], "omp") == [(0.0, "retrain"), (0.0, "fisher")]


def test_the_nearest_sparse_place():
    assert nearest([DENSE, Level(0.5, "omp"), Level(0.9, "omp")], 0.95) == Level(0.9, "omp")
    assert nearest([DENSE], 0.95) is None


def test_two_draws_of_a_random_share_are_two_families():
    shared = {"classes": (), "fraction": 0.1}
    trials = [trial("retrain", **shared), trial("retrain", **shared, draw=3, digest="other")]
    assert {f.forgets for f in families(trials)} == {
        "a random 10 % of the images",
        "a random 10 % of the images, draw 3",
    }
    assert len({f.key for f in families(trials)}) == 2


def test_run_time_is_that_of_one_machine():
    own = "20260101T000000Z-abcdefghijklmnop"
    (family,) = families([trial("scrub", seconds=2.0), trial("scrub", seed=1, seconds=8.0, source=own)])
    (series,) = series_of(family)
    values = values_at(family, series, DENSE)
    assert (values["ua"].count, values["seconds"].count, values["seconds"].estimate) == (2, 1, 2.0)
