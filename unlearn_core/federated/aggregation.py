"""From what the clients sent to one whole: statistics are added, models averaged."""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats
from unlearn_core.federated.messages import Arrays

TRIM = 0.2
"""Share of the clients' values that the trimmed mean leaves out at each end."""


def add_stats(parts: Sequence[ActivationStats]) -> ActivationStats:
    """The statistics of all clients' images together: exactly those of the whole data set, whoever holds what."""
    return functools.reduce(operator.add, parts)


def capped(stats: ActivationStats, most: float) -> ActivationStats:
    """The same class means, over at most so many images in all."""
    held = int(stats.counts.sum())
    if held <= most:
        return stats
    counts = np.floor(stats.counts * (most / held)).astype(np.int64)
    share = np.divide(counts, stats.counts, out=np.zeros(len(counts)), where=stats.counts > 0)
    return replace(stats, sums={n: v * share[:, None] for n, v in stats.sums.items()}, counts=counts)


def average_stats(parts: Sequence[ActivationStats]) -> ActivationStats:
    """The paper's plain average of the clients' class means, where a class that a client lacks counts as zero.

    Uneven clients drag the means of classes that few hold towards zero; `add_stats` doesn't.

    Paper: Wang et al., arXiv 2110.11794; A* = mean over clients of the local tables.
    """
    total = add_stats(parts)
    means = {
        layer: np.mean([np.nan_to_num(part.mean(layer), nan=0.0) for part in parts], axis=0)
        for layer in total.layers
    }
    return replace(total, sums={layer: m * total.counts[:, None] for layer, m in means.items()})


STATS_WEIGHTINGS: Mapping[str, Callable[[Sequence[ActivationStats]], ActivationStats]] = {
    "counts": add_stats,
    "plain": average_stats,
}


def weighted_mean(updates: Sequence[Arrays], weights: Sequence[float]) -> dict[str, NDArray[Any]]:
    """The mean of models by weight, batch-norm statistics included, in each array's own type.

    Paper: McMahan et al., "Communication-Efficient Learning of Deep Networks", AISTATS 2017, arXiv 1602.05629.
    """
    shares = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    mean = {}
    for name, like in updates[0].items():
        # One client after the other: with hundreds of clients, no second copy of all of them.
        total = np.zeros(like.shape, dtype=np.float64)
        for update, share in zip(updates, shares, strict=True):
            total += share * update[name]
        mean[name] = _as(total, like)
    return mean


def trimmed_mean(updates: Sequence[Arrays], weights: Sequence[float] = ()) -> dict[str, NDArray[Any]]:
    """The mean of each number after a fifth of the clients' values at each end is left out; weights play no part.

    Up to a fifth of the clients may lie without any one number leaving the range of the honest ones. Below five clients
    nothing is left out. The arithmetic is that of Flower's strategy FedTrimmedAvg.

    Paper: Yin et al., "Byzantine-Robust Distributed Learning", ICML 2018, arXiv 1803.01498.
    """
    from unlearn_core.federated.flower.strategies import trim_mean

    return {
        name: _as(np.asarray(trim_mean(np.stack([u[name] for u in updates]), TRIM)), like)
        for name, like in updates[0].items()
    }


AGGREGATORS: Mapping[str, Callable[[Sequence[Arrays], Sequence[float]], dict[str, NDArray[Any]]]] = {
    "fedavg": weighted_mean,
    "trimmed_mean": trimmed_mean,
}


def _as(values: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """Counters stay whole numbers."""
    rounded = np.rint(values) if np.issubdtype(like.dtype, np.integer) else values
    return np.asarray(rounded, dtype=like.dtype)
