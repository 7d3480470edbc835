"""Threshold attacks against counting pair by pair, a hand table, and simulation under no difference."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from unlearn_core.attacks.threshold import (
    attack,
    auc_difference,
    even_bins,
    histogram,
    rates,
    roc,
    sides,
    slider_steps,
    threshold_curve,
)
from unlearn_core.errors import UnlearnError

Z = NormalDist().inv_cdf(0.975)


def drawn(n, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(shift, 1, n)


def pairs(members, others):
    """The share of pairs in which the member scores higher; a tie counts half."""
    higher = members[:, None] > others[None]
    return float((higher + 0.5 * (members[:, None] == others[None])).mean())


def test_both_errors_by_hand() -> None:
    found = attack(np.array([0.9, 0.8, 0.8, 0.4]), np.array([0.1, 0.4, 0.85]))
    assert (found.caught(0.8).correct, found.caught(0.8).total) == (3, 4)
    assert (found.alarms(0.8).correct, found.alarms(0.8).total) == (1, 3)
    assert found.advantage(0.8) == pytest.approx(3 / 4 - 1 / 3)
    assert found.best == 0.8
    assert found.largest == pytest.approx(5 / 12)
    assert rates(found, [0.8]) == [
        {
            "threshold": 0.8,
            "missed": pytest.approx(1 / 4),
            "false_alarms": pytest.approx(1 / 3),
            "advantage": pytest.approx(5 / 12),
        }
    ]


@pytest.mark.parametrize("ties", [False, True])
def test_how_often_it_is_right_is_the_share_of_pairs(ties: bool) -> None:
    members, others = drawn(57, 0.4), drawn(31, seed=1)
    if ties:
        members, others = members.round(), others.round()
    assert attack(members, others).auc.estimate == pytest.approx(pairs(members, others))


def test_the_interval_is_delongs_from_pairs() -> None:
    members, others = drawn(40, 0.7), drawn(25, seed=1)
    higher = members[:, None] > others[None]
    variance = higher.mean(1).var(ddof=1) / 40 + higher.mean(0).var(ddof=1) / 25
    right = attack(members, others).auc
    assert right.high - right.estimate == pytest.approx(Z * math.sqrt(variance))
    assert right.estimate - right.low == pytest.approx(Z * math.sqrt(variance))


def test_the_interval_covers_in_about_95_of_100_draws() -> None:
    truth = 0.5 * (1 + math.erf(0.5 / 2))  # of two unit normals half a deviation apart
    held = 0
    for seed in range(400):
        right = attack(drawn(60, 0.5, 2 * seed), drawn(50, 0, 2 * seed + 1)).auc
        held += truth in right
    assert 0.92 <= held / 400 <= 0.98


def test_few_images_told_apart_without_error_are_not_certain() -> None:
    right = attack(np.array([3.0, 4.0]), np.array([1.0, 2.0])).auc
    assert right.estimate == 1.0 and right.low < 0.5
    wrong = attack(np.array([1.0]), np.array([2.0, 3.0])).auc
    assert wrong.estimate == 0.0 and wrong.high > 0.5


def test_constant_answers_tell_nothing() -> None:
    right = attack(np.zeros(20), np.zeros(9)).auc
    assert (right.estimate, right.low, right.high) == (0.5, 0.5, 0.5)
    assert attack(np.zeros(20), np.zeros(9)).largest == 0.0


def test_the_difference_is_paired() -> None:
    """On the same images of nearly the same model it is far surer than two samples would be."""
    members, others = drawn(80, 0.5), drawn(70, seed=1)
    one, two = attack(members, others), attack(members + drawn(80, 0, 2) / 50, others)
    gap = auc_difference(one, two)
    assert gap.estimate == pytest.approx(one.auc.estimate - two.auc.estimate)
    assert gap.high - gap.low < (one.auc.high - one.auc.low) / 4
    assert auc_difference(one, one) == auc_difference(two, two)
    assert auc_difference(one, one).low == 0


def test_a_blind_attack_stays_below_its_bound_in_about_95_of_100_draws() -> None:
    largest = [attack(drawn(150, 0, 2 * s), drawn(90, 0, 2 * s + 1)) for s in range(400)]
    within = np.mean([found.largest <= found.blind for found in largest])
    assert 0.93 <= within <= 0.99
    assert largest[0].blind == pytest.approx(math.sqrt(1.4978661 * (1 / 150 + 1 / 90)), rel=1e-4)


def test_few_false_alarms_by_counting() -> None:
    others = np.arange(100.0)
    members = np.array([97.5, 98.0, 98.5, 99.0, 99.5, 5.0])
    found = attack(members, others)
    # One of a hundred may be called a member: 99. So members have to lie above 98.
    assert found.caught_at(0.01).correct == 3
    assert found.caught_at(0.0).correct == 1
    assert found.caught_at(1.0).correct == 6
    course = roc(found)
    for name in ("false_alarms", "caught"):
        assert [row[name] for row in course] == sorted(row[name] for row in course)
    assert (course[0]["caught"], course[-1]["false_alarms"], course[-1]["caught"]) == (0, 1, 1)
    # At the threshold 99: one of a hundred others, two of six members.
    assert any(row == pytest.approx({"false_alarms": 0.01, "caught": 1 / 3}) for row in course)


def test_the_slider_holds_the_best_threshold_and_the_chart_every_image() -> None:
    found = attack(drawn(50, 1), drawn(40, seed=1))
    steps = slider_steps(-2, 3, found.best)
    assert found.best in steps and steps == sorted(steps) and (steps[0], steps[-1]) == (-2, 3)
    assert np.diff(steps).min() >= 0.02 and np.diff(steps).max() <= 0.08
    assert len(slider_steps(-20, 20, 0.1)) in (201, 202)
    assert slider_steps(0, 1, 7.5)[-1] == 1  # a best threshold beyond the chart stands at its edge
    scores = np.array([-9.0, 0.1, 0.2, 0.9, 9.0])
    bins = histogram(scores, np.linspace(0, 1, 5))
    assert [(b["start"], b["images"]) for b in bins] == [(0.0, 3), (0.75, 2)]
    assert sum(b["share"] for b in bins) == pytest.approx(1)


def test_an_empty_group_is_refused() -> None:
    with pytest.raises(UnlearnError, match="no image"):
        attack(np.zeros(3), np.zeros(0))


def test_the_threshold_curve_counts():
    members, others = np.array([0.9, 0.8, 0.8, 0.4]), np.array([0.1, 0.4, 0.85])
    curve = threshold_curve(members, others)
    for t, missed, alarms, advantage in zip(
        curve.thresholds, curve.missed, curve.false_alarms, curve.advantage, strict=True
    ):
        assert missed == pytest.approx(sum(m < t for m in members) / 4)
        assert alarms == pytest.approx(sum(o >= t for o in others) / 3)
        assert advantage == pytest.approx((1 - missed) - alarms)
    assert (curve.false_alarms[0], curve.missed[-1], curve.false_alarms[-1]) == (1.0, 1.0, 0.0)
    # At 0.4 all members and two of three others: 1/3. At 0.8 three of four against one of three: 5/12, the best.
    assert curve.thresholds[curve.best] == 0.8
    assert curve.advantage[curve.best] == pytest.approx(3 / 4 - 1 / 3)


def test_a_thinned_curve_keeps_its_best_threshold():
    members, others = drawn(5000, 1), drawn(5000, seed=1)
    whole, thin = threshold_curve(members, others, points=10**6), threshold_curve(members, others, points=50)
    assert len(thin.thresholds) <= 51 < len(whole.thresholds)
    assert thin.advantage[thin.best] == whole.advantage[whole.best]


def test_the_sides_of_a_threshold_by_distance() -> None:
    below, beyond = sides(np.array([0.0, 3.0, 1.0, 2.0, 5.0]), 2.0)
    assert (below, beyond) == ([2, 0], [3, 1, 4])
    assert sides(np.array([1.0]), 2.0) == ([0], [])


def test_even_bins_meet_the_ends() -> None:
    assert even_bins(-1.0, 1.0, 4).tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
