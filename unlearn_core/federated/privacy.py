"""What an upload of activation statistics gives away, and what is done about it at the client.

A class mean over one image is that image's signature. Classes with few images are not reported, and on request each
image's part is clipped and Gaussian noise is added, with the (epsilon, delta) that follows.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from unlearn_core.channels.activations import ActivationStats


@dataclass(frozen=True)
class Privacy:
    """What a client does before it reports.

    Attributes:
        k: Classes with fewer images are not reported.
        epsilon: Of one report's differential privacy for one image added or removed; 0 adds no noise.
        delta: Of the same.
        clip: An image's activations in a layer of C channels are scaled down to an L2 norm of clip x sqrt(C).
    """

    k: int = 1
    epsilon: float = 0.0
    delta: float = 1e-5
    clip: float = 0.5


def suppressed(stats: ActivationStats, k: int) -> ActivationStats:
    """The statistics without the classes that have fewer than k images: their sums and counts are zero."""
    few = stats.counts < k
    sums = {layer: np.where(few[:, None], 0.0, values) for layer, values in stats.sums.items()}
    return replace(stats, sums=sums, counts=np.where(few, 0, stats.counts))


def noisy(stats: ActivationStats, privacy: Privacy, rng: np.random.Generator) -> ActivationStats:
    """Clipped statistics with Gaussian noise on sums and counts together.

    One image changes one row of the sums by at most clip x sqrt(all channels), and one count by one: measured in these
    units, the report's L2 sensitivity is sqrt(2). Rounding counts and cutting them at zero costs no privacy.
    """
    deviation = math.sqrt(2) * gaussian_sigma(privacy.epsilon, privacy.delta)
    reach = privacy.clip * math.sqrt(sum(values.shape[1] for values in stats.sums.values()))
    sums = {
        layer: values + rng.normal(0.0, deviation * reach, values.shape)
        for layer, values in stats.sums.items()
    }
    counts = np.maximum(0, np.rint(stats.counts + rng.normal(0.0, deviation, stats.counts.shape)))
    return replace(stats, sums=sums, counts=counts.astype(np.int64))


def noise_reach(privacy: Privacy, channels: int) -> float:
    """How far noise takes a sum at most: ten deviations, which one number in 10^23 passes; 0 without noise."""
    if not privacy.epsilon:
        return 0.0
    deviation = math.sqrt(2) * gaussian_sigma(privacy.epsilon, privacy.delta)
    return 10 * deviation * max(1.0, privacy.clip * math.sqrt(channels))


def protected(stats: ActivationStats, privacy: Privacy, rng: np.random.Generator) -> ActivationStats:
    """What may leave the client: with noise where it was asked for, and without the classes of few images."""
    reported = noisy(stats, privacy, rng) if privacy.epsilon else stats
    return suppressed(reported, privacy.k)


def gaussian_sigma(epsilon: float, delta: float) -> float:
    """The smallest deviation of Gaussian noise that gives (epsilon, delta) at L2 sensitivity 1.

    Source: Balle and Wang, "Improving the Gaussian Mechanism for Differential Privacy", ICML 2018, arXiv 1805.06530,
    theorem 8, solved by bisection.
    """
    low, high = 1e-3, 1e6
    for _ in range(200):
        middle = math.sqrt(low * high)
        if _delta(middle, epsilon) > delta:
            low = middle
        else:
            high = middle
    return high


def _delta(sigma: float, epsilon: float) -> float:
    """The delta that noise of this deviation gives for epsilon."""
    return _normal(1 / (2 * sigma) - epsilon * sigma) - math.exp(
        epsilon + _log_normal(-1 / (2 * sigma) - epsilon * sigma)
    )


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _log_normal(x: float) -> float:
    """ln of the normal distribution function, also where the function itself underflows."""
    if x > -30:
        return math.log(_normal(x))
    return -0.5 * x * x - math.log(-x * math.sqrt(2 * math.pi))
