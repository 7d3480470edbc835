"""Scores against hand-worked tables and an independent float64 reference."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unlearn_core.channels import scoring
from unlearn_core.channels.activations import ActivationStats
from unlearn_core.errors import UnlearnError

# Three channels x four classes, worked by hand for class 0.
HAND = np.array([[4.0, 1, 1, 1], [2, 2, 2, 2], [0, 3, 3, 3]]).T


def stats_of(means, counts=None):
    means = np.asarray(means, dtype=np.float64)
    counts = np.full(len(means), 10) if counts is None else np.asarray(counts)
    classes = tuple(f"c{k}" for k in range(len(means)))
    return ActivationStats(classes, "bn_relu", {"conv": means * counts[:, None]}, counts.astype(np.int64))


def test_hand_worked_table():
    np.testing.assert_allclose(scoring.tf(HAND)[0], [2 / 3, 1 / 3, 0])
    np.testing.assert_array_equal(scoring.classes_above(HAND), [1, 4, 3])
    np.testing.assert_allclose(scoring.idf(HAND), [0.9163, 0, 0.2231], atol=5e-5)
    np.testing.assert_allclose(scoring.tf_idf(HAND)[0], [0.6109, 0, 0], atol=5e-5)


@given(arrays(np.float64, (5, 7), elements=st.floats(0, 1e6).map(lambda v: round(v, 3))))
def test_agrees_with_a_reference_written_with_loops(means):
    for u in range(5):
        for j in range(7):
            total = sum(means[u])
            tf = means[u, j] / total if total > 0 else 0.0
            average = sum(means[:, j]) / 5
            above = sum(1 for c in range(5) if means[c, j] >= average * (1 - 1e-9))
            expected = tf * math.log(6 / (1 + above))
            assert scoring.tf_idf(means)[u, j] == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(
    arrays(np.float64, (4, 6), elements=st.floats(0, 1e6).map(lambda v: round(v, 3))), st.floats(0.01, 100)
)
def test_scale_of_a_layer_does_not_matter(means, factor):
    np.testing.assert_allclose(scoring.tf(means * factor), scoring.tf(means), rtol=1e-9, atol=1e-12)


def test_idf_stays_in_its_range():
    one_hot = np.eye(10)
    assert scoring.idf(one_hot) == pytest.approx(math.log(11 / 2))
    assert scoring.idf(np.full((10, 3), 0.1)) == pytest.approx(0.0)


def test_silent_layer_and_dead_channel_score_zero():
    assert not scoring.tf_idf(np.zeros((3, 4))).any()
    means = np.array([[0.0, 5], [0, 1], [0, 1]])
    assert not scoring.tf_idf(means)[:, 0].any()


def test_a_class_without_images_is_left_out_and_scores_nan():
    present = scoring.channel_scores(stats_of(HAND)).by_layer["conv"]
    padded = np.vstack([HAND, np.zeros(3)])
    scores = scoring.channel_scores(stats_of(padded, [10, 10, 10, 10, 0])).by_layer["conv"]
    np.testing.assert_allclose(scores[:4], present)
    assert np.isnan(scores[4]).all()


def test_too_few_images_of_a_target_are_refused_by_name():
    stats = stats_of(HAND, [3, 10, 10, 10])
    with pytest.raises(UnlearnError, match="'c0' has 3 images"):
        scoring.require_images(stats, [0])
    scoring.require_images(stats, [1, 2])


def test_unknown_metric_is_refused():
    with pytest.raises(UnlearnError, match="bm25"):
        scoring.channel_scores(stats_of(HAND), "bm25")


def test_worked_score_is_the_score():
    worked = scoring.worked(stats_of(HAND), "conv", 0, 0)
    assert worked.score == pytest.approx(scoring.tf_idf(HAND)[0, 0])
    assert worked.tf * worked.idf == pytest.approx(worked.score)
    assert (worked.rank, worked.classes_above, worked.num_classes, worked.layer_sum) == (1, 1, 4, 6)
