"""How sure a measured number is: intervals of shares, of their differences, of means over seeds and of attacks.

What decides "inside the noise" everywhere is `within_noise`: whether the interval of the difference holds zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and where its true value lies, in the estimate's own unit; `x in interval` asks for a value.

    Attributes:
        estimate: What was measured; NaN where nothing was.
        low: Lower end.
        high: Upper end.
        level: Share of such intervals that hold the true value.
    """

    estimate: float
    low: float
    high: float
    level: float = LEVEL

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Tally:
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


def wilson(tally: Tally, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a share; 0 to 1 of nothing.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    n, share, z = tally.total, tally.share, _reach(level)
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


@cache
def _reach(level: float) -> float:
    """How many standard errors an interval of the normal distribution reaches to either side."""
    return NormalDist().inv_cdf((1 + level) / 2)
