"""How far a model lies from the one retrained without the forget set, and how sure that is over several seeds.

All measures are shares in [0, 1]: UA, RA and TA (unlearning, remaining and testing accuracy) and MIA efficacy.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934 (gaps and their
average); Zhao et al., "What Makes Unlearning Hard and What to Do About It", NeurIPS 2024, arXiv 2406.01257 (ToW, ToW-MIA).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from statistics import NormalDist, fmean, stdev
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from numpy.typing import NDArray

Plain = Mapping[str, Any]

MEASURES = ("ua", "mia", "ra", "ta")
"""What the average gap is over; run time is not part of it."""


def values_of(evaluation: Plain) -> dict[str, float | None]:
    """The four measures of a plain evaluation; None for what it doesn't hold."""
    values = {name: evaluation.get(name) for name in MEASURES}
    return {**values, "mia": (evaluation.get("mia") or {}).get("efficacy")}


def to_retrain(evaluation: Plain, retrained: Plain) -> dict[str, Any]:
    """Gaps, average gap, ToW and ToW-MIA of an evaluation to that of the retrained model; None where a value is missing."""
    mine, theirs = values_of(evaluation), values_of(retrained)
    gaps = {name: _gap(mine[name], theirs[name]) for name in MEASURES}
    return {
        "gaps": gaps,
        "avg_gap": _mean(list(gaps.values())),
        "tow": tow(gaps["ua"], gaps["ra"], gaps["ta"]),
        "tow_mia": tow(gaps["mia"], gaps["ra"], gaps["ta"]),
    }


def tow(forget: float | None, retain: float | None, test: float | None) -> float | None:
    """Tug of war: the product of one less each gap to retraining; 1 is retraining itself.

    Args:
        forget: Gap in accuracy on the forget set, or in MIA efficacy for ToW-MIA.
        retain: Gap in accuracy on the retain set.
        test: Gap in accuracy on the test set.
    """
    if forget is None or retain is None or test is None:
        return None
    return (1 - forget) * (1 - retain) * (1 - test)


def js_divergence(one: Float[np.ndarray, "N K"], two: Float[np.ndarray, "N K"]) -> float:
    """Mean Jensen-Shannon divergence of two models' softmax outputs over N images; natural log, at most log 2.

    The mean is over images, each a sum over classes; averaged over classes too, as some code does, it would be K times
    too small. NaN without images.
    """
    if not len(one):
        return math.nan
    p, q = one.astype(np.float64), two.astype(np.float64)
    middle = (p + q) / 2
    return float((_kl(p, middle) + _kl(q, middle)).mean() / 2)


def agreement(one: Int64[np.ndarray, " N"], two: Int64[np.ndarray, " N"]) -> float:
    """Share of N images that two models answer alike; NaN without images."""
    return float((one == two).mean()) if len(one) else math.nan


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % interval.

    Attributes:
        mean: The mean.
        low: Lower end; NaN for fewer than two values.
        high: Upper end.
        deviation: Standard deviation of the values (n - 1).
        count: How many values.
    """

    mean: float
    low: float
    high: float
    deviation: float
    count: int


def interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean and Student's interval; NaN ends for fewer than two values."""
    if len(values) < 2:
        only = values[0] if values else math.nan
        return Interval(only, math.nan, math.nan, math.nan, len(values))
    mean, deviation = fmean(values), stdev(values)
    half = student(len(values) - 1, level) * deviation / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half, deviation, len(values))


@lru_cache
def student(freedom: int, level: float = 0.95) -> float:
    """The two-sided quantile of Student's t: how many standard errors the interval reaches.

    By bisection on the closed form of the distribution for a whole number of degrees of freedom.

    Source: Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < level else (low, middle)
    return (low + high) / 2


def _within(t: float, freedom: int) -> float:
    """Probability that |T| < t."""
    if freedom > _AS_NORMAL:
        return 2 * NormalDist().cdf(t) - 1
    theta = math.atan2(t, math.sqrt(freedom))
    cosine = math.cos(theta)
    term, total = (cosine, 0.0) if freedom % 2 else (1.0, 0.0)
    first = 1 if freedom % 2 else 0
    for k in range(first, freedom - 1, 2):
        total += term
        term *= (k + 1) / (k + 2) * cosine * cosine
    if freedom % 2:
        return 2 / math.pi * (theta + math.sin(theta) * total)
    return math.sin(theta) * total


_AS_NORMAL = 100_000


def noise_floor(retrained: Sequence[Plain]) -> dict[str, Any]:
    """How far retraining lies from itself under other seeds: the mean gap over all pairs, in each measure and on average.

    A method whose gap is no larger can't be told from retraining. None where there are fewer than two, or values missing.
    """
    pairs = [to_retrain(one, two) for one, two in combinations(retrained, 2)]
    return {
        "gaps": {name: _mean([p["gaps"][name] for p in pairs]) for name in MEASURES},
        "avg_gap": _mean([p["avg_gap"] for p in pairs]),
        "seeds": len(retrained),
    }


def within_floor(gap: float | None, floor: float | None) -> bool:
    """Whether a gap is no larger than the noise floor; False where either is unknown."""
    return gap is not None and floor is not None and gap <= floor


def _gap(mine: float | None, theirs: float | None) -> float | None:
    return None if mine is None or theirs is None else abs(mine - theirs)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _kl(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kullback-Leibler divergence row by row, (N,); 0 log 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / q), 0.0)
    total: NDArray[np.float64] = terms.sum(axis=1)
    return total
