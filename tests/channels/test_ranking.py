"""Channels in order and what stands out, against tables worked by hand."""

import math

import numpy as np
import pytest

from unlearn_core.channels import ranking
from unlearn_core.channels.activations import ActivationStats
from unlearn_core.channels.scoring import channel_scores, worked

NAN = math.nan
# Channel 0 speaks for "a", 1 is alike for all, 2 is dead, 3 speaks for "b" and a little for "a".
MEANS = np.array([[6.0, 1.0, 0.0, 1.0], [2.0, 1.0, 0.0, 4.0], [0.0, 1.0, 0.0, 0.0]])


def stats_of(means: np.ndarray, counts: tuple[int, ...] = (10, 20, 30)) -> ActivationStats:
    images = np.array(counts, dtype=np.int64)
    return ActivationStats(("a", "b", "c"), "bn_relu", {"conv": means * images[:, None]}, images)


def test_orders() -> None:
    assert ranking.by_score(np.array([0.5, NAN, 2.0, 0.5])) == [2, 0, 3, 1]
    assert ranking.strongest_class(np.array([NAN, 1.0, 3.0])) == 2
    assert ranking.next_in_line(np.array([5.0, NAN, 2.0, 4.0]), 3, 2) == [0, 2]
    assert ranking.dead(MEANS) == [2]
    assert ranking.dead(np.array([0.0, NAN, 1.0])) == [0, 1]
    assert ranking.value_range(np.array([[2.0, NAN], [-1.0, 0.5]])) == (-1.0, 2.0)
    assert ranking.value_range(np.array([NAN])) == (0.0, 0.0)


def test_channels_of_a_class_lie_side_by_side() -> None:
    scores = np.array([[0.9, 0.0, 0.3, 0.0], [0.0, 0.8, 0.0, 0.1]])
    assert ranking.owned(scores, 3, channel=0) == [0, 2, 1]
    assert ranking.owned(scores, 3, channel=3) == [0, 1, 3]  # the one in focus takes the last place


def test_the_standout_and_by_how_much() -> None:
    best = ranking.standout(stats_of(MEANS), "conv", 0)
    assert best is not None
    assert (best.channel, best.share, best.times, best.above) == (0, 6 / 8, 3.0, 1)
    alone = ranking.standout(stats_of(np.array([[6.0, 1.0], [0.0, 1.0], [0.0, 1.0]])), "conv", 0)
    assert alone is not None and math.isinf(alone.times)
    assert ranking.standout(stats_of(np.ones((3, 4))), "conv", 0) is None


@pytest.mark.parametrize("counts", [(10, 20, 30), (10, 20, 0)])
def test_rows_hold_what_the_worked_formula_holds(counts: tuple[int, ...]) -> None:
    means = np.where(np.array(counts)[:, None] > 0, MEANS, 0.0)
    stats = stats_of(means, counts)
    rows = ranking.ranking(stats, "conv", 1, [3, 0])
    assert [row["channel"] for row in rows] == [3, 0]
    for row in rows:
        by_hand = worked(stats, "conv", 1, row["channel"])
        numbers = (by_hand.score, by_hand.tf, by_hand.idf, by_hand.mean)
        assert (row["score"], row["tf"], row["idf"], row["mean"]) == pytest.approx(numbers)
        assert (row["rank"], row["above"]) == (by_hand.rank, by_hand.classes_above)
    assert [row["strongest"] for row in rows] == ["b", "a"]


def test_every_score_of_a_layer_is_a_row() -> None:
    stats = stats_of(MEANS)
    rows = ranking.every_score(stats, "conv", ["tf_idf", "mean"])
    assert len(rows) == 12
    assert [(row["class"], row["channel"]) for row in rows[3:5]] == [("a", 3), ("b", 0)]
    table = channel_scores(stats).by_layer["conv"]
    assert [row["tf_idf"] for row in rows] == table.ravel().tolist()
    assert [row["mean"] for row in rows] == MEANS.ravel().tolist()


def test_what_two_rankings_have_in_common() -> None:
    one, other = np.array([3.0, 2.0, 1.0, 0.0]), np.array([0.0, 3.0, 2.0, 1.0])
    assert [ranking.in_common(one, other, count) for count in (1, 2, 3, 4)] == [0, 1, 2, 4]
    assert ranking.in_common(one, np.array([NAN, 1.0, 1.0, 1.0]), 2) is None
