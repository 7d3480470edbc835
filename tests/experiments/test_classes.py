"""Accuracy by class over seeds."""

from collections.abc import Callable

import pytest

from unlearn_core.experiments.classes import by_class
from unlearn_core.experiments.trial import Trial


def test_one_seed_has_wilsons_interval(trial: Callable[..., Trial]) -> None:
    """5 of 50: Wilson's 95 % interval is 4.35 to 21.36 %."""
    line = by_class([trial()])[1]
    assert (line["class"], line["forgotten"], line["images"], line["of"]) == ("b", True, 50, "of test images")
    assert (line["accuracy"], line["low"], line["high"]) == pytest.approx((10.0, 4.35, 21.36), abs=0.01)


def test_two_seeds_have_students_interval_within_possible_shares(trial: Callable[..., Trial]) -> None:
    """0.92 and 0.94: the half width is 12.7062 * 0.0141421 / sqrt(2) = 0.127, cut at 100 %."""
    line = by_class([trial(seed=0), trial(seed=1, per_class=(0.94, 0.0))])[0]
    assert (line["accuracy"], line["low"], line["high"]) == pytest.approx((93.0, 80.294, 100.0), abs=0.01)
    assert not line["forgotten"]


def test_a_class_without_test_images_has_no_accuracy(trial: Callable[..., Trial]) -> None:
    line = by_class([trial(per_class=(0.9, None), per_class_total=(50, 0))])[1]
    assert (line["accuracy"], line["low"], line["high"]) == (None, None, None)
