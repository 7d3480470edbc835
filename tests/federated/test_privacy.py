"""What leaves a client: nothing of small classes, and noise that keeps the promise that it is calibrated for."""

import math

import numpy as np
import pytest

from unlearn_core.channels.activations import ActivationStats, collect
from unlearn_core.federated.privacy import Privacy, gaussian_sigma, noisy, protected, suppressed


def stats(counts):
    counts = np.array(counts, dtype=np.int64)
    sums = {"conv": np.outer(counts, [1.0, 2.0, 3.0])}
    return ActivationStats(tuple("abc"), "bn_relu", sums, counts)


def test_small_classes_are_not_reported():
    kept = suppressed(stats([49, 50, 51]), 50)
    assert kept.counts.tolist() == [0, 50, 51]
    assert not kept.sums["conv"][0].any() and kept.sums["conv"][1].tolist() == [50, 100, 150]
    assert suppressed(stats([0, 1, 2]), 1).counts.tolist() == [0, 1, 2]


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
def test_noise_gives_the_delta_that_was_promised_and_not_much_less(epsilon):
    """delta(epsilon) of two normal distributions, by integrating their densities numerically."""

    def delta(sigma):
        x = np.linspace(-40 * sigma - 1, 40 * sigma + 1, 2_000_001)
        p, q = (
            np.exp(-((x - m) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi)) for m in (1.0, 0.0)
        )
        return float(np.maximum(p - math.exp(epsilon) * q, 0).sum() * (x[1] - x[0]))

    sigma = gaussian_sigma(epsilon, 1e-3)
    assert delta(sigma) == pytest.approx(1e-3, rel=1e-3)
    assert delta(sigma / 1.02) > 1e-3


def test_noise_is_as_large_as_calibrated():
    privacy = Privacy(epsilon=1.0, clip=2.0)
    wide = ActivationStats(("a",), "bn_relu", {"conv": np.zeros((1, 40_000))}, np.array([10**9]))
    told = noisy(wide, privacy, np.random.default_rng(0))
    # sqrt(2) for the pair of sums and count; clip x sqrt(C) for the reach of one image.
    expected = math.sqrt(2) * gaussian_sigma(1.0, 1e-5) * 2.0 * math.sqrt(40_000)
    assert told.sums["conv"].std() == pytest.approx(expected, rel=0.02)
    assert told.counts.dtype == np.int64 and abs(told.counts[0] - 10**9) < 100


def test_noise_comes_before_the_floor():
    """Whether a class is reported is decided by its noisy count: the true one would give it away."""
    seen = {
        protected(stats([10, 10, 10]), Privacy(k=10, epsilon=0.5), np.random.default_rng(s)).counts[0] > 0
        for s in range(20)
    }
    assert seen == {True, False}


def test_no_image_counts_for_more_than_the_clip(trained, colours):
    one = colours.train.select(colours.train.indices[:1])
    clipped = collect(trained, one, colours.classes, clip=0.05)
    free = collect(trained, one, colours.classes)
    for layer, sums in clipped.sums.items():
        limit = 0.05 * math.sqrt(sums.shape[1])
        norm = np.linalg.norm(free.sums[layer])
        np.testing.assert_allclose(np.linalg.norm(sums), min(limit, norm), rtol=1e-6)
    assert any(np.linalg.norm(free.sums[n]) > 0.05 * math.sqrt(s.shape[1]) for n, s in clipped.sums.items())
