"""Which method is closest to retraining, in order and as one sentence that can be checked against the table."""

from collections.abc import Callable, Sequence

from unlearn_core.experiments.pairing import AVERAGE
from unlearn_core.experiments.table import Row
from unlearn_core.experiments.trial import FEDERATED
from unlearn_core.unlearning.registry import METHODS
from unlearn_core.words import figure, listed, percent

Named = Callable[[Row], str]


def closest(rows: Sequence[Row], named: Named) -> str:
    """Which method is closest to retraining, at what share of its time, and whether the next is further off than noise.

    Args:
        rows: From `table`.
        named: What to call a row.
    """
    methods = ranked(rows, "method")
    if not any(row.kind == "reference" for row in rows):
        return _without_reference(rows)
    if not methods:
        return "Retraining is here, but no method that was measured beside it in all four measures."
    best = methods[0]
    return f"{_closest(best, named)}{_cost(best)}; {_next(methods, named)}.{_noise(methods)}{_controls(rows, best, named)}"


def ranked(rows: Sequence[Row], kind: str) -> list[Row]:
    """The rows of a kind whose average gap is known, the closest to retraining first."""
    known = [(row.gap, row) for row in rows if row.kind == kind and row.gap is not None]
    return [row for _, row in sorted(known, key=lambda pair: pair[0])]


def _without_reference(rows: Sequence[Row]) -> str:
    count = sum(row.kind == "method" for row in rows)
    what, they = ("One method was", "it is") if count == 1 else (f"{count} methods were", "they are")
    return f"{what} measured, but no retrained model: how far {they} from having never seen the images is not known."


def _closest(best: Row, named: Named) -> str:
    seeds = len(best.trials)
    over = f"over {seeds} seeds" if seeds > 1 else "with one seed"
    return f"{named(best)} is closest to retraining: {_points(best.gap)} points off on average {over}"


def _cost(best: Row) -> str:
    if best.share is None:
        return ""
    machine = ", timed on another machine" if any("machine" in r for r in best.remarks) else ""
    if best.share > 1:
        return f", though it takes {best.share:.1f} times as long{machine}"
    return f", in {_percent(best.share)} of its time{machine}"


def _next(methods: Sequence[Row], named: Named) -> str:
    if len(methods) < 2:
        return "no other method is here to compare"
    best, other = methods[:2]
    floor, apart = _floor(methods), (other.gap or 0) - (best.gap or 0)
    nearest = f"next is {named(other)} with {_points(other.gap)}"
    if floor is None:
        return f"{nearest}; whether that is noise, only two retrainings without the same images could say"
    return f"{nearest}, a difference {'inside' if apart <= floor else 'outside'} the noise"


def _noise(methods: Sequence[Row]) -> str:
    floor = _floor(methods)
    return (
        "" if floor is None else f" Retraining itself differs by {_points(floor)} points from seed to seed."
    )


def _floor(methods: Sequence[Row]) -> float | None:
    """Of the closest method's own reference; where that has none, of the next one's."""
    return next((f for row in methods[:2] if (f := row.floor[AVERAGE]) is not None), None)


def _controls(rows: Sequence[Row], best: Row, named: Named) -> str:
    """One that is as close and left the features alone tells that these measures can't see whether the model has forgotten."""
    as_close = [
        r
        for r in ranked(rows, "control")
        if not _changes_inside(r.method) and (r.gap or 0) <= (best.gap or 0) + (best.floor[AVERAGE] or 0)
    ]
    if not as_close:
        return ""
    return f" As close without forgetting anything inside: {listed([named(r) for r in as_close[:2]])}."


def _changes_inside(method: str) -> bool:
    """Whether a control changes more than the answers: one that prunes cuts channels and fine-tunes."""
    control = METHODS.get(method.removeprefix(FEDERATED))
    return control is not None and control.prunes


def _points(share: float | None) -> str:
    return figure(share, 1 if share is None or share >= 0.01 else 2)


def _percent(share: float) -> str:
    return percent(share, 0 if share >= 0.1 else 1) if share >= 0.001 else "under 0.1 %"
