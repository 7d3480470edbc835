"""How long runs would take, with the selected model and data."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from pages.parts.opened import opened, store
from pages.parts.selection import Selection
from unlearn_core.errors import UnlearnError
from unlearn_core.running import estimates
from unlearn_core.running.bench import Bench, set_up
from unlearn_core.running.orders import Order


def sentence(selection: Selection, orders: Sequence[Order]) -> str:
    """How long they would take, one after the other, or why nobody can tell."""
    return _on_bench(selection, orders[0].device, lambda bench: estimates.sentence(orders, bench))


def sweep_sentence(selection: Selection, sparse: Sequence[Order], unlearning: Sequence[Order]) -> str:
    """How long a sweep would take: making models sparse, and what is measured on them; or why nobody can tell."""
    device = unlearning[0].device
    return _on_bench(selection, device, lambda bench: estimates.sweep_sentence(sparse, unlearning, bench))


def _on_bench(selection: Selection, device: str, say: Callable[[Bench], str]) -> str:
    try:
        with set_up(store(), device, lambda: opened(selection), _measured()) as bench:
            return say(bench)
    except UnlearnError as error:
        return str(error)


@st.cache_resource(show_spinner=False)
def _measured() -> dict[tuple[Any, ...], Any]:
    """What was measured since the server started."""
    return {}
