"""Intervals against published tables, closed forms, and the edges: nothing of nothing, none and all of n."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearn_core.intervals import (
    Interval,
    Tally,
    delong,
    delong_difference,
    guessing,
    newcombe,
    student,
    student_quantile,
    wilson,
    within_noise,
)

Z = NormalDist().inv_cdf(0.975)


def test_an_interval_holds_its_ends_and_what_lies_between() -> None:
    ends = Interval(0.5, 0.25, 1.0)
    assert 0.25 in ends and 0.7 in ends and 1.0 in ends
    assert 0.24 not in ends and 1.01 not in ends
    assert ends.ends(100) == (25, 100)
    # Of one seed nothing is known but the value.
    assert 0.0 in Interval(1.0, math.nan, math.nan)
    assert Interval(1.0, math.nan, math.nan).ends() == (None, None)


def test_a_share_of_nothing_is_unknown() -> None:
    assert math.isnan(Tally(0, 0).share)
    assert (wilson(Tally(0, 0)).low, wilson(Tally(0, 0)).high) == (0.0, 1.0)
    for pair in ((Tally(0, 0), Tally(5, 5)), (Tally(0, 5), Tally(0, 0)), (Tally(0, 0), Tally(0, 0))):
        assert math.isnan(newcombe(*pair).estimate)
        assert (newcombe(*pair).low, newcombe(*pair).high) == (-1.0, 1.0)


def test_the_nearest_tally_gives_the_share_back() -> None:
    assert Tally.nearest(2 / 3, 30) == Tally(20, 30)
    assert Tally.nearest(0.333, 10) == Tally(3, 10)
    assert Tally.nearest(0.5, 0) == Tally(0, 0)


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_against_newcombes_published_table(correct, total, low, high):
    ends = wilson(Tally(correct, total))
    assert (ends.low, ends.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_holds_the_share(correct, total):
    tally = Tally(min(correct, total), total)
    ends = wilson(tally)
    assert ends.estimate == tally.share
    assert 0 <= ends.low <= tally.share + 1e-12 and tally.share - 1e-12 <= ends.high <= 1


@pytest.mark.parametrize("n", [1, 7, 100])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_of_none_and_of_all_in_closed_form(n, level):
    z = NormalDist().inv_cdf((1 + level) / 2)
    none, every = wilson(Tally(0, n), level), wilson(Tally(n, n), level)
    assert (none.low, none.high) == (pytest.approx(0, abs=1e-12), pytest.approx(z * z / (n + z * z)))
    assert (every.low, every.high) == (pytest.approx(n / (n + z * z)), pytest.approx(1))
    assert none.level == level


def test_guesses_lie_about_one_half() -> None:
    """Of 100 throws of a coin 40 to 60 in 95 of 100 cases: 1.96 deviations of 5 throws."""
    assert guessing(100).low == pytest.approx(0.402, abs=1e-4)
    assert guessing(100).high == pytest.approx(0.598, abs=1e-4)
    assert guessing(400).high - 0.5 == pytest.approx((guessing(100).high - 0.5) / 2)


# Newcombe 1998, table II, the contrasts (a) to (h) under method 10.
PUBLISHED = [
    (56, 70, 48, 80, 0.0524, 0.3339),
    (9, 10, 3, 10, 0.1705, 0.8090),
    (6, 7, 2, 7, 0.0582, 0.8062),
    (5, 56, 0, 29, -0.0381, 0.1926),
    (0, 10, 0, 20, -0.1611, 0.2775),
    (0, 10, 0, 10, -0.2775, 0.2775),
    (10, 10, 0, 20, 0.6791, 1.0),
    (10, 10, 0, 10, 0.6075, 1.0),
]


@pytest.mark.parametrize(("a", "m", "b", "n", "low", "high"), PUBLISHED)
def test_newcombe_against_his_published_table(a, m, b, n, low, high):
    gap = newcombe(Tally(b, n), Tally(a, m))
    assert gap.estimate == pytest.approx(a / m - b / n)
    assert (gap.low, gap.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_difference_turned_round_is_its_negative(a, b):
    one, two = Tally(a, 50), Tally(b, 60)
    there, back = newcombe(one, two), newcombe(two, one)
    assert (there.low, there.high) == (pytest.approx(-back.high), pytest.approx(-back.low))
    assert there.low - 1e-12 <= there.estimate <= there.high + 1e-12


def test_noise():
    # Newcombe 1998: 56/70 against 48/80 differ by 0.2 with the interval 0.0524 to 0.3339.
    assert not within_noise(Tally(48, 80), Tally(56, 70))
    assert within_noise(Tally(90, 100), Tally(93, 100))
    assert not within_noise(Tally(90, 100), Tally(0, 100))
    assert within_noise(Tally(0, 0), Tally(5, 5))


@pytest.mark.parametrize(
    ("freedom", "level", "quantile"),
    [
        (1, 0.95, 12.706),
        (2, 0.95, 4.303),
        (3, 0.95, 3.182),
        (4, 0.95, 2.776),
        (9, 0.95, 2.262),
        (30, 0.95, 2.042),
        (120, 0.95, 1.980),
        (4, 0.99, 4.604),
        (5, 0.90, 2.015),
        (10**6, 0.95, 1.960),
    ],
)
def test_quantiles_are_those_of_the_printed_table(freedom, level, quantile):
    assert student_quantile(freedom, level) == pytest.approx(quantile, abs=5e-4)


def test_an_interval_by_hand():
    five = student([0.90, 0.92, 0.94, 0.96, 0.98])
    assert (five.estimate, five.count) == (pytest.approx(0.94), 5)
    assert five.deviation == pytest.approx(0.0316228, abs=1e-6)
    half = 2.776 * 0.0316228 / math.sqrt(5)
    assert (five.low, five.high) == (
        pytest.approx(0.94 - half, abs=1e-5),
        pytest.approx(0.94 + half, abs=1e-5),
    )
    assert (
        math.isnan(student([0.9]).low) and student([0.9]).estimate == 0.9 and math.isnan(student([]).estimate)
    )


def test_intervals_hold_the_mean_19_times_of_20():
    rng = np.random.default_rng(0)
    hits = sum((i := student(rng.normal(0.5, 0.1, 5).tolist())).low <= 0.5 <= i.high for _ in range(2000))
    assert hits / 2000 == pytest.approx(0.95, abs=0.015)


def test_delong_by_hand() -> None:
    """Of 2 x 4 pairs six are in order and one is a tie, which counts half."""
    ends = delong(np.array([2.0, 5.0]), np.array([1.0, 2.0, 3.0, 0.0]))
    above, below = [2.5 / 4, 1.0], [1.0, 1.5 / 2, 1 / 2, 1.0]
    variance = np.var(above, ddof=1) / 2 + np.var(below, ddof=1) / 4
    assert ends.estimate == pytest.approx(6.5 / 8)
    assert ends.low == pytest.approx(6.5 / 8 - Z * math.sqrt(variance))
    assert ends.high == 1.0


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 5), (30, 3)])
def test_all_told_apart_is_as_sure_as_so_many_of_so_many(m, n):
    right, wrong = delong(np.ones(m), np.zeros(n)), delong(np.zeros(m), np.ones(n))
    few = min(m, n)
    assert right == wilson(Tally(few, few)) and wrong == wilson(Tally(0, few))


def test_the_difference_of_two_areas_takes_away_what_they_share() -> None:
    """Var(A - B) = Var A + Var B - 2 Cov(A, B), from placements counted pair by pair."""
    rng = np.random.default_rng(0)
    one = rng.normal(0.8, 1, 30), rng.normal(0, 1, 20)
    two = one[0] + rng.normal(0, 0.5, 30), one[1] + rng.normal(0, 0.5, 20)
    orders = [a[:, None] > b[None] for a, b in (one, two)]
    positives, negatives = (np.cov([order.mean(axis) for order in orders]) for axis in (1, 0))
    shared = positives / 30 + negatives / 20
    variance = shared[0, 0] + shared[1, 1] - 2 * shared[0, 1]
    gap = delong_difference(one, two)
    assert gap.estimate == pytest.approx(orders[0].mean() - orders[1].mean())
    assert gap.high - gap.estimate == pytest.approx(Z * math.sqrt(variance))
    assert gap.estimate - gap.low == pytest.approx(Z * math.sqrt(variance))
