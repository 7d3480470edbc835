"""How long runs would take, as a sentence that says how that is known."""

from collections.abc import Sequence

from unlearn_core.running.bench import Bench, Estimate
from unlearn_core.running.kinds.registry import find_kind
from unlearn_core.running.orders import Order
from unlearn_core.words import duration

BUSY = "The time is not estimated while another run is using the machine."
UNTIMED = "No such run has been timed on this machine yet."


def sentence(orders: Sequence[Order], bench: Bench) -> str:
    """How long the runs would take, one after the other.

    Raises:
        UnlearnError: Model, data, device or settings can't be used.
    """
    if bench.store.unfinished():
        return BUSY
    estimates = estimated(orders, bench)
    if not estimates:
        return UNTIMED
    together = f" for all {len(orders)} runs" if len(orders) > 1 else ""
    # What had to be measured is less sure than what is known from runs before, so that it is told.
    source = next((e.source for e in estimates if not e.by_past), estimates[0].source)
    return f"About {duration(sum(e.seconds for e in estimates))}{together}{source}"


def sweep_sentence(sparse: Sequence[Order], unlearning: Sequence[Order], bench: Bench) -> str:
    """How long a sweep would take: making models sparse, and what is measured on them.

    Raises:
        UnlearnError: Model, data, device or settings can't be used.
    """
    if bench.store.unfinished():
        return BUSY
    seconds = sum(e.seconds for e in estimated(sparse, bench))
    before = f"Making sparse: about {duration(seconds)}. " if sparse else ""
    return f"{before}Unlearning: {sentence(unlearning, bench)}"


def estimated(orders: Sequence[Order], bench: Bench) -> list[Estimate]:
    """The estimate of each run; none at all where one of them can't be known.

    Raises:
        UnlearnError: Model, data, device or settings can't be used.
    """
    estimates = []
    for order in orders:
        estimate = find_kind(order.kind).estimate
        known = estimate(order.request, bench) if estimate else None
        if known is None:
            return []
        estimates.append(known)
    return estimates
