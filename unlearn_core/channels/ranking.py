"""Channels in order, and what stands out among them: from scores and mean activations alone, without torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats
from unlearn_core.channels.scoring import Array, classes_above, idf, scores_in, tf


def by_score(scores: Array) -> list[int]:
    """Channels by one class's scores (C,), highest first, ties to the lower number; NaN is last."""
    return [int(c) for c in np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")]


def strongest_class(means: Array) -> int:
    """The class that drives a channel most, from its mean activations (K,); NaN for a class without images."""
    return int(np.nanargmax(means))


def next_in_line(means: Array, focus: int, count: int) -> list[int]:
    """The classes beside the one in focus that drive a channel most, from its mean activations (K,)."""
    return [int(k) for k in np.argsort(-np.nan_to_num(means), kind="stable") if k != focus][:count]


def dead(means: Array) -> list[int]:
    """The channels that are zero for every class, from mean activations or scores (K, C) or those of one class (C,)."""
    return [int(c) for c in np.flatnonzero(np.nan_to_num(np.atleast_2d(means)).max(axis=0) == 0)]


def in_common(one: Array, other: Array, count: int) -> int | None:
    """How many of the `count` highest of two rows of scores (C,) are the same channels; None where a score is unknown."""
    if np.isnan(one).any() or np.isnan(other).any():
        return None
    return len(set(by_score(one)[:count]) & set(by_score(other)[:count]))


def value_range(values: Array) -> tuple[float, float]:
    """The smallest and the largest number that there is; 0 and 0 where there is none."""
    known = values[~np.isnan(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)


def owned(scores: Array, count: int, channel: int) -> list[int]:
    """The channels of the highest scores (K, C), side by side with those of the same class; `channel` is among them."""
    best, owner = np.nanmax(scores, axis=0), np.nanargmax(scores, axis=0)
    channels = by_score(best)[:count]
    if channel not in channels:
        channels[-1] = channel
    return sorted(channels, key=lambda c: (owner[c], -best[c]))


@dataclass(frozen=True)
class Standout:
    """The channel of a layer that says most about a class.

    Attributes:
        channel: Its number.
        share: What it makes up of the layer's activation for the class, in [0, 1].
        times: Its mean activation for the class over that for the next one; infinite where no other drives it.
        above: In how many classes it lies at or above its own mean.
    """

    channel: int
    share: float
    times: float
    above: int


def standout(stats: ActivationStats, layer: str, k: int) -> Standout | None:
    """The channel with the highest TF-IDF for a class; None where every score is 0."""
    means = stats.mean(layer)
    scores = scores_in(stats, layer)[k]
    best = by_score(scores)[0]
    if not scores[best] > 0:
        return None
    rival = float(np.nan_to_num(np.delete(means[:, best], k)).max(initial=0.0))
    times = float(means[k, best]) / rival if rival > 0 else float("inf")
    return Standout(best, float(tf(means)[k, best]), times, int(classes_above(_present(stats, layer))[best]))


def ranking(stats: ActivationStats, layer: str, k: int, channels: Sequence[int]) -> list[dict[str, Any]]:
    """What is known of each of these channels for a class, in their order."""
    means, present = stats.mean(layer), _present(stats, layer)
    scores, shares = scores_in(stats, layer)[k], tf(means)[k]
    rarity, above = idf(present), classes_above(present)
    strongest = np.nan_to_num(means).argmax(axis=0)
    rank = {c: i for i, c in enumerate(by_score(scores), start=1)}
    return [
        {
            "rank": rank[c],
            "channel": c,
            "score": float(scores[c]),
            "tf": float(shares[c]),
            "idf": float(rarity[c]),
            "mean": float(means[k, c]),
            "above": int(above[c]),
            "strongest": stats.classes[int(strongest[c])],
        }
        for c in channels
    ]


def every_score(stats: ActivationStats, layer: str, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Every channel of a layer for every class: one row each, with its scores by those metrics."""
    tables = {metric: scores_in(stats, layer, metric) for metric in metrics}
    return [
        {"class": name, "channel": c, **{metric: float(table[k, c]) for metric, table in tables.items()}}
        for k, name in enumerate(stats.classes)
        for c in range(stats.sums[layer].shape[1])
    ]


def _present(stats: ActivationStats, layer: str) -> NDArray[np.float64]:
    """Mean activations of the classes that have images."""
    return stats.mean(layer)[stats.counts > 0]
