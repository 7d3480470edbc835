"""The bound of Proposition 2 over sparsity, relative to the dense model."""

import pytest

from unlearn_core.experiments.proposition import CURVE, Point, bound_and_error, points_of, relative


def point(sparsity, seed, value, error):
    return Point(sparsity, seed, 0.1, 10, 1.0, 2.0, value, error, error, 2 * error, 0.9)


def test_every_curve_begins_at_one_and_is_paired_by_seed():
    points = [point(0.0, 0, 8, 1), point(0.9, 0, 4, 0.5), point(0.0, 1, 2, 1), point(0.9, 1, 0.5, 1)]
    rows = {(r["key"], r["sparsity"]): r for r in relative(points)}
    assert rows["bound", 0.0]["mean"] == 1 and rows["bound", 0.0]["low"] == 1
    assert rows["bound", 90.0]["mean"] == pytest.approx((0.5 + 0.25) / 2)
    assert rows["single", 90.0]["mean"] == pytest.approx(0.75)
    assert rows["single", 90.0]["seeds"] == 2


def test_the_sentence_tells_where_both_do_not_fall():
    falls = bound_and_error(relative([point(0.0, 0, 8, 1), point(0.9, 0, 4, 0.5)]))
    assert "From dense to 90 % sparsity" in falls and "both fall" in falls and "One seed" in falls
    assert "the bound falls, the error does not" in bound_and_error(
        relative([point(0.0, 0, 8, 1), point(0.9, 0, 4, 2)])
    )
    assert "the error falls although the bound" in bound_and_error(
        relative([point(0.0, 0, 4, 2), point(0.9, 0, 8, 1)])
    )
    assert bound_and_error(relative([point(0.0, 0, 8, 1)])) == ""


def test_points_come_back_from_a_study():
    kept = {CURVE: {"points": [point(0.5, 3, 1, 1).__dict__]}}
    assert points_of(kept) == [point(0.5, 3, 1, 1)]
    assert points_of({}) == []
