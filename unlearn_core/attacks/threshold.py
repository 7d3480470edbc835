"""Threshold attacks: which of two groups of images does a signal give away, how surely, and how far is that chance?

An attack calls an image a member (trained on) where its signal reaches a threshold.

Paper: Song and Mittal, "Systematic Evaluation of Privacy Risks of Machine Learning Models", USENIX Security 2021; Carlini et
al., "Membership Inference Attacks From First Principles", S&P 2022, arXiv 2112.03570 (few false alarms).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unlearn_core.errors import UnlearnError
from unlearn_core.intervals import Interval, Tally, delong, delong_difference

Values = NDArray[np.float64]

FEW_ALARMS = 0.01
_MOST_STEPS = 200
_LEAST_STEP = 0.05


@dataclass(frozen=True)
class ThresholdCurve:
    """The attack that calls an image a member where its signal reaches a threshold, at every threshold that matters.

    Attributes:
        thresholds: Ascending, (T,).
        missed: Share of members called non-members, (T,).
        false_alarms: Share of non-members called members, (T,).
    """

    thresholds: Values
    missed: Values
    false_alarms: Values

    @property
    def advantage(self) -> Values:
        """True alarms less false alarms, (T,): 0 tells nothing, 1 everything."""
        return 1 - self.missed - self.false_alarms

    @property
    def best(self) -> int:
        """Where the advantage is largest."""
        return int(self.advantage.argmax())


def threshold_curve(members: Values, others: Values, points: int = 400) -> ThresholdCurve:
    """Both error rates over thresholds on a signal that is higher for members, exact at each threshold given.

    Args:
        members: The signal of images that were trained on.
        others: That of images that were not.
        points: At most so many thresholds, evenly among all values that occur; the best one is always among them.
    """
    values = np.unique(np.concatenate([members, others]))
    thresholds = np.append(values, np.nextafter(values[-1], np.inf))
    missed = np.searchsorted(np.sort(members), thresholds, side="left") / len(members)
    alarms = 1 - np.searchsorted(np.sort(others), thresholds, side="left") / len(others)
    best = int((1 - missed - alarms).argmax())
    even = np.linspace(0, len(thresholds) - 1, min(points, len(thresholds))).round().astype(int)
    places = np.union1d(even, [best])
    return ThresholdCurve(thresholds[places], missed[places], alarms[places])


@dataclass(frozen=True, eq=False)
class Attack:
    """A threshold attack on one model: which of two groups of images was it trained on?

    Attributes:
        members: The signal of images that it was trained on, at least before it forgot, (M,).
        others: That of unseen images, (N,).
        curve: Both error rates over thresholds.
    """

    members: Values
    others: Values
    curve: ThresholdCurve

    def caught(self, threshold: float) -> Tally:
        """Members called members."""
        return Tally(int((self.members >= threshold).sum()), len(self.members))

    def alarms(self, threshold: float) -> Tally:
        """Unseen images called members."""
        return Tally(int((self.others >= threshold).sum()), len(self.others))

    def advantage(self, threshold: float) -> float:
        """True alarms less false alarms, in [-1, 1]; 0 tells nothing."""
        return self.caught(threshold).share - self.alarms(threshold).share

    @property
    def best(self) -> float:
        """The threshold with the largest advantage."""
        return float(self.curve.thresholds[self.curve.best])

    @property
    def largest(self) -> float:
        """The largest advantage of all thresholds."""
        return self.advantage(self.best)

    @property
    def blind(self) -> float:
        """How large the largest advantage gets by chance: 95 % of attacks on two groups that don't differ stay below.

        The largest advantage is the one-sided Kolmogorov-Smirnov statistic of the two groups; its asymptotic quantile.
        """
        m, n = len(self.members), len(self.others)
        return min(1.0, math.sqrt(-math.log(0.05) / 2 * (m + n) / (m * n)))

    @property
    def auc(self) -> Interval:
        """How often it is right, shown a member and an unseen image: the area under its ROC curve. Half of all is guessing."""
        return delong(self.members, self.others)

    def caught_at(self, most: float = FEW_ALARMS) -> Tally:
        """Members caught by the strictest attack that raises false alarms for no more than this share of unseen images."""
        ranked = np.sort(self.others)[::-1]
        allowed = math.floor(most * len(ranked) + 1e-9)
        above = ranked[allowed] if allowed < len(ranked) else -np.inf
        return Tally(int((self.members > above).sum()), len(self.members))


def attack(members: Values, others: Values) -> Attack:
    """The attack that tells members from others.

    Raises:
        UnlearnError: One of the groups has no image.
    """
    if not len(members) or not len(others):
        raise UnlearnError("One of the two groups of images has no image, so there is nothing to tell apart.")
    return Attack(members, others, threshold_curve(members, others))


def auc_difference(one: Attack, two: Attack) -> Interval:
    """By how much the first attack is more often right than the second, on the same images of another model."""
    return delong_difference((one.members, one.others), (two.members, two.others))


def slider_steps(low: float, high: float, best: float) -> list[float]:
    """Thresholds that a slider offers, ascending: even steps over the range of a chart, and the best one among them.

    No two lie so close together that their names would be the same: a twentieth of a unit at least, half of it beside the best.
    """
    steps = min(_MOST_STEPS, max(1, round((high - low) / _LEAST_STEP)))
    even = np.linspace(low, high, steps + 1)
    best = float(np.clip(best, low, high))
    apart = abs(even - best) > (even[1] - even[0]) / 2
    return sorted([*even[apart].tolist(), best])


def sides(values: Values, threshold: float) -> tuple[list[int], list[int]]:
    """Positions of the values below a threshold, and of those from it on; each side by distance, the nearest first."""
    by_distance = np.argsort(np.abs(values - threshold), kind="stable")
    beyond = values[by_distance] >= threshold
    return by_distance[~beyond].tolist(), by_distance[beyond].tolist()


def even_bins(low: float, high: float, count: int) -> Values:
    """The edges of so many bins of one width."""
    return np.linspace(low, high, count + 1)


def histogram(values: Values, edges: Values) -> list[dict[str, float]]:
    """One row a bin that holds images: its ends, how many and which share of all; the outer bins take what lies beyond."""
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    return [
        {
            "start": float(edges[i]),
            "end": float(edges[i + 1]),
            "images": int(c),
            "share": int(c) / len(values),
        }
        for i, c in enumerate(counts)
        if c
    ]


def rates(attacked: Attack, thresholds: list[float]) -> list[dict[str, float]]:
    """One row a threshold: both error rates and the advantage, as shares."""
    return [
        {
            "threshold": t,
            "missed": 1 - attacked.caught(t).share,
            "false_alarms": attacked.alarms(t).share,
            "advantage": attacked.advantage(t),
        }
        for t in thresholds
    ]


def roc(attacked: Attack, points: int = 300) -> list[dict[str, float]]:
    """One row a threshold that matters: shares of false alarms and of members caught, false alarms ascending."""
    curve = threshold_curve(attacked.members, attacked.others, points)
    rows = [
        {"false_alarms": float(a), "caught": 1 - float(m)}
        for m, a in zip(curve.missed, curve.false_alarms, strict=True)
    ]
    return rows[::-1]
