"""Asking for scores that nobody has computed yet: a background run, started once, with its true progress."""

import streamlit as st

from pages.parts import live_run, start
from pages.parts.opened import store
from pages.parts.selection import Selection
from pages.parts.text import md
from unlearn_core.channels.activations import TAPS
from unlearn_core.running.orders import Order
from unlearn_core.store.runs import RunRecord, RunState


def ask_for_scores(selection: Selection, tap: str) -> None:
    """Says that there are no scores for this model, data and tap, offers to compute them, and shows how far they are."""
    record = _newest(selection, tap)
    if record is not None and not record.state.final:
        live_run.panel(record.id)
        return
    if record is not None and record.state is RunState.SUCCEEDED and not store().get(record.id).damage:
        st.warning(f"The scores at hand are of other images than those that {md(selection.data)} holds.")
    st.info(
        f"The channels of this model have not been scored yet on {md(selection.data)}, read {TAPS[tap].partition(':')[0]}. "
        "Scoring runs training images through the model once and keeps each channel's mean activation by class."
    )
    if record is not None and record.state is not RunState.SUCCEEDED:
        st.warning(f"The last attempt {_ENDS[record.state]} {md(record.error)}")
    per_class = st.select_slider(
        "Training images of each class",
        [50, 100, 200, 500, "all"],
        value=200,
        key="scores_per_class",
        help="More images give steadier scores and take longer. 200 of each class are what unlearning uses by default.",
    )
    start.button(
        "Score the channels",
        lambda nonce: [_order(selection, tap, 0 if per_class == "all" else int(per_class))],
        "scores_start",
        width="content",
    )


def _order(selection: Selection, tap: str, per_class: int) -> Order:
    settings = {"model": selection.model, "data": selection.data, "tap": tap, "per_class": per_class}
    return Order("score", {"settings": settings}, name=f"Scores of {selection.model}")


def _newest(selection: Selection, tap: str) -> RunRecord | None:
    for record in store().list("score", 200):
        asked = record.request.get("settings", {})
        if (asked.get("model"), asked.get("data"), asked.get("tap", "bn_relu")) == (
            selection.model,
            selection.data,
            tap,
        ):
            return record
    return None


_ENDS = {
    RunState.FAILED: "failed:",
    RunState.CANCELLED: "was cancelled.",
    RunState.INTERRUPTED: "was interrupted:",
}
