"""How far a model lies from the one retrained without the forget set, and how far retraining lies from itself.

All measures are shares in [0, 1]: UA, RA and TA (unlearning, remaining and testing accuracy) and MIA efficacy.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934 (gaps and their
average); Zhao et al., "What Makes Unlearning Hard and What to Do About It", NeurIPS 2024, arXiv 2406.01257 (ToW, ToW-MIA).
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
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
