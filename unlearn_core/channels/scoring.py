"""TF-IDF scores of channels: a channel is a word, a class is a document.

Paper: Wang et al., "Federated Unlearning via Class-Discriminative Pruning", WWW 2022, arXiv 2110.11794, section 3.2.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats
from unlearn_core.errors import UnlearnError

Array = NDArray[np.float64]

# A channel that fires alike for every class must count every class as "at or above its mean", whatever rounding says.
_TIE = 1e-9

LEAST_IMAGES = 10
"""Fewest images of a class to forget that scores are made from."""


@dataclass(frozen=True)
class ChannelScores:
    """How specific each channel is to each class.

    Attributes:
        classes: The K class names.
        metric: A key of `METRICS`.
        by_layer: For every convolution (K, C); higher = more specific to the class; NaN for a class without images.
    """

    classes: tuple[str, ...]
    metric: str
    by_layer: Mapping[str, Array]


@dataclass(frozen=True)
class WorkedScore:
    """Every number behind one channel's TF-IDF score for one class, as the worked formula shows it."""

    mean: float
    layer_sum: float
    tf: float
    num_classes: int
    classes_above: int
    idf: float
    score: float
    rank: int


def tf(means: Array) -> Array:
    """Term frequency: each channel's share of its layer's activation for a class, (K, C); zero for a silent layer.

    Paper: arXiv 2110.11794, TF[j] = A*[u', j] / sum_k A*[u', k].
    """
    totals = means.sum(axis=1, keepdims=True)
    shares: Array = np.divide(means, totals, out=np.zeros_like(means), where=totals > 0)
    return shares


def classes_above(means: Array) -> Array:
    """n_j: in how many classes a channel is at or above its own mean over the classes, (C,); at least 1."""
    threshold = means.mean(axis=0)
    counts: Array = (means >= threshold - _TIE * np.abs(threshold)).sum(axis=0).astype(np.float64)
    return counts


def idf(means: Array) -> Array:
    """Inverse document frequency ln((1 + K) / (1 + n_j)), (C,), in [0, ln((1 + K) / 2)].

    The paper writes the threshold of n_j ambiguously; as in its authors' code it is the channel's mean over classes.
    Their code has K / (1 + n_j) instead, which turns negative; this is the paper's form.
    """
    result: Array = np.log((1 + len(means)) / (1 + classes_above(means)))
    return result


def tf_idf(means: Array) -> Array:
    """TF x IDF of every channel for every class, (K, C)."""
    return tf(means) * idf(means)


METRICS: Mapping[str, Callable[[Array], Array]] = {
    "tf_idf": tf_idf,
    "tf": tf,
    "idf": lambda means: np.broadcast_to(idf(means), means.shape),
    "mean": lambda means: means,
}
"""From mean activations (K, C) to scores (K, C)."""


def channel_scores(stats: ActivationStats, metric: str = "tf_idf") -> ChannelScores:
    """The scores of every layer. Classes without images are left out of K and n_j, and score NaN.

    Raises:
        UnlearnError: An unknown metric.
    """
    if metric not in METRICS:
        raise UnlearnError(f"Unknown score {metric!r}; choose one of: {', '.join(METRICS)}.")
    by_layer = {layer: scores_in(stats, layer, metric) for layer in stats.layers}
    return ChannelScores(stats.classes, metric, by_layer)


def scores_in(stats: ActivationStats, layer: str, metric: str = "tf_idf") -> Array:
    """The scores of one layer by a key of `METRICS`, (K, C); NaN for a class without images."""
    present = stats.counts > 0
    scores = np.full(stats.sums[layer].shape, np.nan)
    scores[present] = METRICS[metric](stats.mean(layer)[present])
    return scores


def require_images(stats: ActivationStats, targets: Sequence[int], minimum: int = LEAST_IMAGES) -> None:
    """Refuses to score a class from too few images.

    Raises:
        UnlearnError: A target class has fewer than `minimum` images.
    """
    for target in targets:
        if stats.counts[target] < minimum:
            raise UnlearnError(
                f"Class {stats.classes[target]!r} has {stats.counts[target]} images in the scoring sample; "
                f"at least {minimum} are needed. Add images of it or raise the number of images a class."
            )


def worked(stats: ActivationStats, layer: str, target: int, channel: int) -> WorkedScore:
    """The numbers behind one cell of the heatmap."""
    present = np.flatnonzero(stats.counts > 0)
    means = stats.mean(layer)[present]
    row = int(np.flatnonzero(present == target)[0])
    scores = tf_idf(means)[row]
    return WorkedScore(
        mean=float(means[row, channel]),
        layer_sum=float(means[row].sum()),
        tf=float(tf(means)[row, channel]),
        num_classes=len(means),
        classes_above=int(classes_above(means)[channel]),
        idf=float(idf(means)[channel]),
        score=float(scores[channel]),
        rank=int((scores > scores[channel]).sum()) + 1,
    )
