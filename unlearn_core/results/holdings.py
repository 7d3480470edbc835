"""How many images of each class clients hold, score and report: tables (M, K) of M clients and K classes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Held = NDArray[np.int64]
"""Images of each class at each client, (M, K)."""


def held_of(rows: Sequence[Sequence[int]]) -> Held:
    """The table of what a result lists."""
    return np.array(rows, dtype=np.int64)


def scored(held: Held, per_class: int) -> Held:
    """What clients score, at most so many images of a class; 0 takes all."""
    return np.minimum(held, per_class) if per_class else held


def unreported(held: Held, floor: int) -> tuple[int, float]:
    """The images of classes that a client has too few of to report, and their share of all, in [0, 1]."""
    hidden = int(held[held < floor].sum())
    return hidden, hidden / max(1, int(held.sum()))


def smallest_reported(held: Held, floor: int) -> int | None:
    """Images of the smallest class that a client reports; None where nothing is reported."""
    reported = held[held >= max(1, floor)]
    return int(reported.min()) if reported.size else None


def of_classes(held: Held, classes: Sequence[int]) -> list[int]:
    """How many images of these classes each client holds, (M,)."""
    return [int(n) for n in held[:, list(classes)].sum(axis=1)]
