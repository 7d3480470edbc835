"""Intervals against published tables, closed forms, and the edges: nothing of nothing, none and all of n."""

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearn_core.intervals import Interval, Tally, newcombe, wilson, within_noise

Z = NormalDist().inv_cdf(0.975)


def test_an_interval_holds_its_ends_and_what_lies_between() -> None:
    ends = Interval(0.5, 0.25, 1.0)
    assert 0.25 in ends and 0.7 in ends and 1.0 in ends
    assert 0.24 not in ends and 1.01 not in ends and float("nan") not in ends
    assert 0.0 not in Interval(1.0, math.nan, math.nan)


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
