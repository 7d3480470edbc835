"""How far a model lies from the one retrained without the forget set, and how far retraining lies from itself.

All measures are shares in [0, 1]: UA, RA and TA (unlearning, remaining and testing accuracy) and MIA efficacy.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934 (gaps and their
average); Zhao et al., "What Makes Unlearning Hard and What to Do About It", NeurIPS 2024, arXiv 2406.01257 (ToW, ToW-MIA).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np
from jaxtyping import Float, Int64
from numpy.typing import NDArray

MEASURES = ("ua", "mia", "ra", "ta")
"""What the average gap is over; run time is not part of it."""


@dataclass(frozen=True)
class Measures:
    """UA, MIA efficacy, RA and TA of a model, or a gap in each; None for what was not measured."""

    ua: float | None = None
    mia: float | None = None
    ra: float | None = None
    ta: float | None = None

    def __iter__(self) -> Iterator[float | None]:
        """In the order of `MEASURES`."""
        return iter((self.ua, self.mia, self.ra, self.ta))


@dataclass(frozen=True)
class Closeness:
    """How near a model's answers are to the retrained model's, by image set; None for a set without images.

    Attributes:
        js: Mean Jensen-Shannon divergence, natural log.
        agreement: Share of images that both answer alike.
    """

    js: Mapping[str, float | None]
    agreement: Mapping[str, float | None]


@dataclass(frozen=True)
class ToRetrain:
    """How far a model lies from the retrained one; None where a value is missing.

    Attributes:
        gaps: In each measure.
        avg_gap: Their mean.
        tow: Tug of war; 1 is retraining itself.
        tow_mia: The same with MIA efficacy instead of UA.
        js: Mean Jensen-Shannon divergence by image set; None where the answers weren't at hand in the same run.
        agreement: Share of images that both answer alike, by image set.
        stored: Whether the retrained model came with the app.
    """

    gaps: Measures
    avg_gap: float | None
    tow: float | None
    tow_mia: float | None
    js: Mapping[str, float | None] | None = None
    agreement: Mapping[str, float | None] | None = None
    stored: bool = False


def to_retrain(measures: Measures, retrained: Measures) -> ToRetrain:
    """Gaps, average gap, ToW and ToW-MIA of a model's measures to the retrained one's."""
    gaps = Measures(*(_gap(mine, theirs) for mine, theirs in zip(measures, retrained, strict=True)))
    return ToRetrain(
        gaps,
        avg_gap=_mean(list(gaps)),
        tow=tow(gaps.ua, gaps.ra, gaps.ta),
        tow_mia=tow(gaps.mia, gaps.ra, gaps.ta),
    )


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
class NoiseFloor:
    """How far retraining lies from itself under other seeds.

    Attributes:
        gaps: The mean gap over all pairs in each measure; None below two models, or where values are missing.
        avg_gap: The mean average gap.
        seeds: How many models.
    """

    gaps: Measures
    avg_gap: float | None
    seeds: int


def noise_floor(retrained: Sequence[Measures]) -> NoiseFloor:
    """The noise floor of retraining: a method whose gap is no larger can't be told from it."""
    pairs = [to_retrain(one, two) for one, two in combinations(retrained, 2)]
    by_measure = ([getattr(p.gaps, name) for p in pairs] for name in MEASURES)
    return NoiseFloor(Measures(*map(_mean, by_measure)), _mean([p.avg_gap for p in pairs]), len(retrained))


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
