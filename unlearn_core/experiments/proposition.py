"""Proposition 2 measured: how far gradient ascent stays from retraining over sparsity, beside what bounds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unlearn_core.intervals import student

CURVE = "proposition_2"
"""Under this name a stored study keeps it."""

SERIES = {
    "bound": "the bound",
    "single": "error after one step back",
    "ascent": "error after gradient ascent",
    "untouched": "error of the untouched model",
}
"""What is drawn, by its key in a point."""


@dataclass(frozen=True)
class Point:
    """What was measured at one sparsity under one seed; distances are Euclidean, over the weights kept.

    Attributes:
        sparsity: Share of the convolutions' weights that are gone, in [0, 1].
        seed: Of initialisation and order.
        lr: Learning rate η of training.
        steps: Training steps t.
        moved: How far training moved the weights kept, ||m ⊙ (θ_t - θ_0)||.
        sigma: σ(m), the largest absolute eigenvalue of the Hessian among the weights kept.
        bound: η² t moved σ, without the constant that the proposition leaves open.
        single: After adding the forget set's steps back at θ_0.
        ascent: After the method `gradient_ascent`.
        untouched: Of the trained model itself.
        accuracy: Test accuracy of the trained model, in [0, 1].
    """

    sparsity: float
    seed: int
    lr: float
    steps: int
    moved: float
    sigma: float
    bound: float
    single: float
    ascent: float
    untouched: float
    accuracy: float


def points_of(curves: Mapping[str, Any]) -> list[Point]:
    """The points that a study keeps; none where it keeps no such curve."""
    return [Point(**p) for p in curves.get(CURVE, {}).get("points", ())]


def relative(points: Sequence[Point]) -> list[dict[str, Any]]:
    """One row a series and sparsity: its multiple of the dense value, seed by seed, with its mean and 95 % interval.

    A proposition with a constant left open says how a quantity moves, not how large it is: so all begin at 1.
    """
    dense = {p.seed: p for p in points if not p.sparsity}
    rows = []
    for key, label in SERIES.items():
        for sparsity in sorted({p.sparsity for p in points}):
            ratios = [
                getattr(p, key) / getattr(dense[p.seed], key)
                for p in points
                if p.sparsity == sparsity and p.seed in dense and getattr(dense[p.seed], key)
            ]
            if ratios:
                mean = student(ratios)
                low, high = mean.ends()
                rows.append(
                    {
                        "series": label,
                        "key": key,
                        "sparsity": 100 * sparsity,
                        "mean": mean.estimate,
                        "low": low,
                        "high": high,
                        "seeds": mean.count,
                    }
                )
    return rows


def bound_and_error(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the sparsest model shows, as a sentence; empty without a sparse one."""
    last = max((r["sparsity"] for r in rows), default=0.0)
    if not last:
        return ""
    at = {r["key"]: r["mean"] for r in rows if r["sparsity"] == last}
    one = min(r["seeds"] for r in rows) < 2
    directions = _DIRECTIONS[at["bound"] < 1, at["single"] < 1]
    return (
        f"From dense to {last:.4g} % sparsity the bound goes to {at['bound']:.2g} times its dense value and the error that it "
        f"bounds to {at['single']:.2g} times: {directions}. The error of the method as it is run goes to "
        f"{at['ascent']:.2g} times, that of doing nothing to {at['untouched']:.2g} times."
        f"{' One seed: that may be chance.' if one else ''}"
    )


_DIRECTIONS = {
    (True, True): "both fall",
    (True, False): "the bound falls, the error does not",
    (False, True): "the error falls although the bound does not",
    (False, False): "neither falls",
}
"""By whether the bound and whether the error fell."""
