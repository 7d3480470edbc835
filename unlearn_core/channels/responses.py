"""How channels respond to images: their maps as numbers for a table or a sentence, and which images and classes drive them.

Without torch, so that a page may ask while it is drawn.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]
"""A layer's maps of one image, (C, H, W)."""

Means = NDArray[np.float32]
"""Spatial means of rectified maps: of one channel (N,), or of all (N, C)."""

Labels = NDArray[np.int64]
"""True classes, (N,)."""


@dataclass(frozen=True)
class Firing:
    """What a layer makes of an image.

    Attributes:
        count: Channels that are above 0 somewhere.
        strongest: The one with the highest mean.
        mean: Its mean.
    """

    count: int
    strongest: int
    mean: float


def by_strength(maps: Maps) -> list[int]:
    """The channels by the mean of their maps, highest first."""
    return [int(c) for c in np.argsort(-maps.mean(axis=(1, 2)), kind="stable")]


def firing(maps: Maps) -> Firing:
    """How many channels fire, and which most."""
    means = maps.mean(axis=(1, 2))
    best = int(means.argmax())
    return Firing(int((maps.max(axis=(1, 2)) > 0).sum()), best, float(means[best]))


def peaks(maps: Maps) -> NDArray[np.float32]:
    """The largest value of each channel, (C,)."""
    highest: NDArray[np.float32] = maps.max(axis=(1, 2))
    return highest


def map_rows(maps: Maps) -> list[dict[str, Any]]:
    """What each channel makes of the image: one row each."""
    return [
        {
            "channel": channel,
            "mean": float(values.mean()),
            "min": float(values.min()),
            "max": float(values.max()),
            "share of pixels above 0": float((values > 0).mean()),
        }
        for channel, values in enumerate(maps)
    ]


def class_maps_of(class_maps: NDArray[np.float32], channel: int) -> NDArray[np.float32]:
    """A channel's mean map of each class, (K, h, w), from those of all channels (K, C, h, w); 0 where there is no image."""
    maps: NDArray[np.float32] = np.nan_to_num(class_maps[:, channel])
    return maps


def positions_of(labels: Labels, k: int | None) -> list[int]:
    """The positions of the images of a class; of all without one."""
    return list(range(len(labels))) if k is None else [int(i) for i in np.flatnonzero(labels == k)]


def driving_classes(values: Means, labels: Labels, num_classes: int, most: int) -> list[int]:
    """The classes that drive a channel most, in their own order; all where there are no more than `most`.

    Args:
        values: The channel's mean activation on each image, (N,).
        labels: Of the images.
        num_classes: K.
        most: How many.
    """
    if num_classes <= most:
        return list(range(num_classes))
    sums = np.bincount(labels, weights=values, minlength=num_classes)
    means = sums / np.maximum(1, np.bincount(labels, minlength=num_classes))
    return sorted(int(k) for k in np.argsort(-means, kind="stable")[:most])
