"""Test accuracy by class over the seeds of a row, with its 95 % interval."""

from collections.abc import Sequence
from typing import Any

from unlearn_core.experiments.trial import Trial
from unlearn_core.intervals import Tally, student, wilson


def by_class(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """One line a class, in per cent: the mean over the seeds, and how sure it is.

    Over two seeds or more the interval is Student's, of the mean over seeds; with one it is Wilson's, of the test images.
    A class without test images has no accuracy.
    """
    return [_line(trials, k) for k in range(len(trials[0].names))]


def _line(trials: Sequence[Trial], k: int) -> dict[str, Any]:
    first = trials[0]
    known = [share for t in trials if (share := t.per_class[k]) is not None]
    low, mean, high = _between(known, first.per_class_total[k])
    return {
        "class": first.names[k],
        "forgotten": first.names[k] in first.classes,
        "accuracy": mean,
        "low": low,
        "high": high,
        "of": "over seeds" if len(known) > 1 else "of test images",
        "images": first.per_class_total[k],
    }


def _between(known: Sequence[float], total: int) -> tuple[float | None, float | None, float | None]:
    if not known:
        return None, None, None
    if len(known) > 1:
        over_seeds = student(known)
        low, mean, high = max(0.0, over_seeds.low), over_seeds.estimate, min(1.0, over_seeds.high)
    else:
        of_images = wilson(Tally.nearest(known[0], total))
        low, mean, high = of_images.low, known[0], of_images.high
    return 100 * low, 100 * mean, 100 * high
