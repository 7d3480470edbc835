"""The gate before statistics are added: each client's own, or the sum of all that a secure sum gives.

Each check gives the reason for which statistics are rejected, as a sentence; an empty one lets them pass.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.federated.messages import Answer, Arrays
from unlearn_core.federated.validate import Schema, arrays_problem
from unlearn_core.results.exchanges import Member

MOST_MEAN = 32.0
"""Of an image's mean activation in a channel: far above what batch norm lets through."""

_DUST = 1e-3  # of an image's activation: what masked numbers are rounded by, and more


def channels_in(schema: Schema) -> int:
    """All channels that statistics hold sums of."""
    return sum(shape[1] for shape, _ in schema.values() if len(shape) == 2)


def mean_size(arrays: Arrays) -> float:
    """The L2 norm of the mean activations over all of a client's images; 0 where it reported none."""
    count = int(arrays["counts"].sum())
    sums = (
        [values.sum(axis=0) / count for name, values in arrays.items() if name != "counts"] if count else []
    )
    return float(np.sqrt(sum(float(s @ s) for s in sums)))


def stats_problem(
    answer: Answer, member: Member, schema: Schema, *, reach: float, sums_reach: float = 0.0
) -> str:
    """What is wrong with activation statistics.

    Args:
        answer: The statistics.
        member: Who sent them.
        schema: What they must be.
        reach: How far noise takes a count at most, up or down; 0 without noise. With it, sums may be negative.
        sums_reach: How far it takes a sum at most.
    """
    reason = arrays_problem(answer.arrays, schema) or _counts_problem(
        answer.arrays["counts"], member.images, reach
    )
    if reason:
        return reason
    counts = answer.arrays["counts"]
    problems = (
        _sums_problem(name, sums, counts, reach, sums_reach)
        for name, sums in answer.arrays.items()
        if name != "counts"
    )
    return next(filter(None, problems), "")


def total_problem(arrays: Arrays, schema: Schema, images: int, *, reach: float) -> str:
    """What is wrong with the sum of all clients' statistics, of which nothing else can be checked.

    Args:
        arrays: The sums; counts are whole numbers.
        schema: What they must be.
        images: All that the clients in the sum registered.
        reach: How far the noise of all of them together takes a count at most; 0 without noise.
    """
    reason = arrays_problem(arrays, schema) or _counts_problem(arrays["counts"], images, reach)
    if reason:
        return reason
    dust = _DUST * max(1.0, float(images))
    if not reach and any(a.min(initial=0.0) < -dust for n, a in arrays.items() if n != "counts"):
        return "It holds negative sums of activations, which a ReLU can't give."
    return ""


def without_dust(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The same sums without what rounding under masks left: below zero, and of classes without images."""
    none = arrays["counts"] == 0
    return {
        name: values if name == "counts" else np.where(none[:, None], 0.0, values)
        for name, values in arrays.items()
    }


def _sums_problem(
    name: str, sums: NDArray[Any], counts: NDArray[np.int64], reach: float, sums_reach: float
) -> str:
    """What is wrong with the sums (K, C) of one layer, by themselves: beside others, two clients that lie are a majority."""
    if not reach and sums.min(initial=0) < 0:
        return f"{name!r} holds negative sums of activations, which a ReLU can't give."
    if sums[counts == 0].any():
        return f"{name!r} holds sums of a class that it has no images of."
    # Noise may hide images from a count, but then each of them was clipped to less than the reach of a sum has room for.
    most = MOST_MEAN * counts[:, None] + sums_reach
    if (np.abs(sums) > most).any():
        return (
            f"{name!r} holds sums above {MOST_MEAN:g} for each image, which batch norm doesn't let through."
        )
    return ""


def _counts_problem(counts: NDArray[np.int64], images: int, reach: float) -> str:
    """What is wrong with counts by class (K,), each on its own first: a sum of large ones wraps around in 64 bits."""
    if counts.min() < 0:
        return "It counts fewer than no images of a class."
    most = images + reach
    if counts.max() > most:
        return f"It counts {counts.max()} images of a class, but registered {images}."
    total = sum(counts.tolist())
    if total > images + reach * len(counts):
        return f"It counts {total} images, but registered {images}."
    return ""
