"""Distances to retraining against tables by hand and published ones."""

import math

import numpy as np
import pytest

from unlearn_core.results.closeness import (
    Measures,
    agreement,
    js_divergence,
    noise_floor,
    to_retrain,
    tow,
    within_floor,
)


def measured(ua, mia, ra, ta):
    return Measures(ua, mia, ra, ta)


def test_tow_by_hand():
    """Forget accuracy 10 against 0, retain 98 against 100, test 92 against 94: 0.9 x 0.98 x 0.98 = 0.8644."""
    assert tow(0.10, 0.02, 0.02) == pytest.approx(0.8644, abs=1e-4)
    gaps = to_retrain(measured(0.90, 0.7, 0.98, 0.92), measured(1.0, 1.0, 1.0, 0.94))
    assert gaps.tow == pytest.approx(0.8644, abs=1e-4)
    assert gaps.tow_mia == pytest.approx(0.7 * 0.98 * 0.98)
    assert vars(gaps.gaps) == pytest.approx({"ua": 0.1, "mia": 0.3, "ra": 0.02, "ta": 0.02})
    assert gaps.avg_gap == pytest.approx(0.11)


# SalUn's table 1 (CIFAR-10, ResNet-18, 10 % random): UA, RA, TA, MIA and the printed average gap, all in per cent.
RETRAINED = (5.24, 100.00, 94.26, 12.88)
PUBLISHED = {
    "FT": (0.63, 99.88, 94.06, 2.70, 3.78),
    "RL": (7.61, 99.67, 92.83, 37.36, 7.15),
    "GA": (0.69, 99.50, 94.01, 1.70, 4.12),
    "l1-sparse": (4.19, 97.74, 91.59, 9.84, 2.26),
    "SalUn": (2.85, 99.62, 93.93, 14.39, 1.15),
}


@pytest.mark.parametrize("method", PUBLISHED)
def test_the_published_average_gaps(method):
    *values, average = PUBLISHED[method]
    measures = [measured(ua / 100, mia / 100, ra / 100, ta / 100) for ua, ra, ta, mia in (values, RETRAINED)]
    assert 100 * to_retrain(*measures).avg_gap == pytest.approx(average, abs=0.011)


def test_what_is_missing_stays_unknown():
    gaps = to_retrain(measured(0.9, None, 1.0, 0.9), measured(1.0, 1.0, 1.0, 0.9))
    assert gaps.gaps.mia is None and gaps.avg_gap is None and gaps.tow_mia is None
    assert gaps.tow == pytest.approx(0.9)


def test_js_divergence_by_hand():
    p, q = np.array([[0.7, 0.2, 0.1]]), np.array([[0.1, 0.2, 0.7]])
    assert js_divergence(p, q) == pytest.approx(0.2531, abs=1e-4)
    assert 1 - js_divergence(p, q) == pytest.approx(0.7469, abs=1e-4)  # not the 0.9156 of a mean over classes
    assert js_divergence(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])) == pytest.approx(math.log(2))
    assert js_divergence(np.vstack([p, p]), np.vstack([q, p])) == pytest.approx(0.2531 / 2, abs=1e-4)
    assert math.isnan(js_divergence(p[:0], q[:0]))


def test_agreement_counts():
    assert agreement(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2])) == 0.75
    assert math.isnan(agreement(np.array([], dtype=np.int64), np.array([], dtype=np.int64)))


def test_the_noise_floor_is_the_mean_over_pairs_of_retrained_models():
    three = [
        measured(0.05, 0.10, 1.0, 0.94),
        measured(0.06, 0.12, 1.0, 0.95),
        measured(0.08, 0.10, 0.99, 0.94),
    ]
    floor = noise_floor(three)
    assert vars(floor.gaps) == pytest.approx(
        {"ua": (1 + 3 + 2) / 300, "mia": (2 + 0 + 2) / 300, "ra": (0 + 1 + 1) / 300, "ta": (1 + 0 + 1) / 300}
    )
    assert floor.avg_gap == pytest.approx(sum(floor.gaps) / 4)
    assert floor.seeds == 3
    assert noise_floor(three[:1]).avg_gap is None
    assert within_floor(0.02, floor.gaps.ua) and not within_floor(0.021, floor.gaps.ua)
    assert not within_floor(None, 0.1) and not within_floor(0.0, None)
