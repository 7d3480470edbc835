"""How sure a measured number is: intervals of shares, of their differences, of means over seeds and of attacks.

What decides "inside the noise" everywhere is `within_noise`: whether the interval of the difference holds zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

LEVEL = 0.95
_AS_NORMAL = 100_000  # degrees of freedom from which Student's distribution is taken for the normal one


@dataclass(frozen=True)
class Interval:
    """An estimate and where its true value lies; `x in interval` asks whether it may be x, and unknown ends allow any.

    Attributes:
        estimate: What was measured, in its own unit; NaN where nothing was.
        low: Lower end; NaN where it is unknown.
        high: Upper end; NaN where it is unknown.
        level: Share of such intervals that hold the true value.
    """

    estimate: float
    low: float
    high: float
    level: float = LEVEL

    def __contains__(self, value: float) -> bool:
        return not (value < self.low or value > self.high)

    def ends(self, scale: float = 1.0) -> tuple[float | None, float | None]:
        """Both ends in another unit; None where they are unknown."""
        low, high = (None if math.isnan(end) else scale * end for end in (self.low, self.high))
        return low, high


@dataclass(frozen=True)
class Mean(Interval):
    """A mean over seeds.

    Attributes:
        deviation: Standard deviation of the values (n - 1); NaN for fewer than two.
        count: How many values.
    """

    deviation: float = math.nan
    count: int = 0


class Tally(NamedTuple):
    """How many of how many, images classified rightly for the most part."""

    correct: int
    total: int

    @classmethod
    def nearest(cls, share: float, total: int) -> Tally:
        """The whole number of `total` that comes closest to a share."""
        return cls(round(share * total), total)

    @property
    def share(self) -> float:
        """In [0, 1]; NaN of nothing."""
        return self.correct / self.total if self.total else math.nan

    @property
    def known_share(self) -> float | None:
        """In [0, 1]; None of nothing."""
        return self.share if self.total else None


def wilson(tally: Tally, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a share; 0 to 1 of nothing.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    n, share, z = tally.total, tally.share, _normal_quantile(level)
    if not n:
        return Interval(share, 0.0, 1.0, level)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half), level)


def newcombe(before: Tally, after: Tally, level: float = LEVEL) -> Interval:
    """Newcombe's hybrid score interval of after's share less before's; -1 to 1 where either is of nothing.

    It takes the two as independent samples, which is cautious for two models on the same images.

    Source: Newcombe, "Interval estimation for the difference between independent proportions", Stat. Med. 1998, method 10.
    """
    difference = after.share - before.share
    if not before.total or not after.total:
        return Interval(difference, -1.0, 1.0, level)
    old, new = wilson(before, level), wilson(after, level)
    below = math.hypot(after.share - new.low, old.high - before.share)
    above = math.hypot(new.high - after.share, before.share - old.low)
    return Interval(difference, difference - below, difference + above, level)


def within_noise(before: Tally, after: Tally) -> bool:
    """Whether two shares may be the same: the 95 % interval of their difference holds zero."""
    return 0.0 in newcombe(before, after)


def guessing(count: int, level: float = LEVEL) -> Interval:
    """Where the share of right ones among so many guesses between two lies; at least one guess."""
    half = _normal_quantile(level) * math.sqrt(0.25 / count)
    return Interval(0.5, 0.5 - half, 0.5 + half, level)


def student(values: Sequence[float], level: float = LEVEL) -> Mean:
    """Student's interval of a mean; unknown ends for fewer than two values."""
    if len(values) < 2:
        return Mean(values[0] if values else math.nan, math.nan, math.nan, level, count=len(values))
    mean, deviation = fmean(values), stdev(values)
    half = student_quantile(len(values) - 1, level) * deviation / math.sqrt(len(values))
    return Mean(mean, mean - half, mean + half, level, deviation, len(values))


@cache
def student_quantile(freedom: int, level: float = LEVEL) -> float:
    """The two-sided quantile of Student's t: how many standard errors the interval reaches.

    By bisection on the closed form of the distribution for a whole number of degrees of freedom.

    Source: Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    if freedom > _AS_NORMAL:
        return _normal_quantile(level)
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_within(middle, freedom) < level else (low, middle)
    return (low + high) / 2


def _student_within(t: float, freedom: int) -> float:
    """Probability that |T| < t."""
    theta = math.atan2(t, math.sqrt(freedom))
    cosine = math.cos(theta)
    odd = freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for k in range(odd, freedom - 1, 2):
        total += term
        term *= (k + 1) / (k + 2) * cosine * cosine
    if odd:
        return 2 / math.pi * (theta + math.sin(theta) * total)
    return math.sin(theta) * total


@cache
def _normal_quantile(level: float) -> float:
    """The same of the normal distribution."""
    return NormalDist().inv_cdf((1 + level) / 2)


def delong(positives: Values, negatives: Values, level: float = LEVEL) -> Interval:
    """DeLong's interval of the area under the ROC curve: how often one of the first group scores above one of the second.

    Args:
        positives: Scores of the first group, (M,), at least one.
        negatives: Scores of the second, (N,), at least one; a tie counts half.

    Source: DeLong et al., "Comparing the areas under two or more correlated receiver operating characteristic curves",
        Biometrics 1988.
    """
    above, below = _placements(positives, negatives)
    area = float(above.mean())
    if area in (0.0, 1.0):
        # All are told apart: the formula would say that this is sure, however few they are.
        return wilson(Tally.nearest(area, min(len(above), len(below))), level)
    half = _normal_quantile(level) * math.sqrt(_variance(above) + _variance(below))
    return Interval(area, max(0.0, area - half), min(1.0, area + half), level)


def delong_difference(
    one: tuple[Values, Values], two: tuple[Values, Values], level: float = LEVEL
) -> Interval:
    """By how much the first area under the ROC curve is larger than the second, of two scores of the same M and N things.

    Source: DeLong et al. 1988, for paired samples.
    """
    (above, below), (above_too, below_too) = _placements(*one), _placements(*two)
    difference = float(above.mean() - above_too.mean())
    half = _normal_quantile(level) * math.sqrt(_variance(above - above_too) + _variance(below - below_too))
    return Interval(difference, difference - half, difference + half, level)


def _placements(positives: Values, negatives: Values) -> tuple[Values, Values]:
    """For each score the share of the other group that it stands on the right side of; a tie counts half. (M,) and (N,)."""
    m, n = len(positives), len(negatives)
    ranked, others = np.sort(positives), np.sort(negatives)
    below = [np.searchsorted(others, positives, side=side) for side in ("left", "right")]
    above = [m - np.searchsorted(ranked, negatives, side=side) for side in ("right", "left")]
    return (below[0] + below[1]) / (2 * n), (above[0] + above[1]) / (2 * m)


def _variance(placements: Values) -> float:
    """Variance of the mean; a single one says nothing of it."""
    return float(placements.var(ddof=1) / len(placements)) if len(placements) > 1 else 0.25
