"""The job dock: what runs now, on every page; nothing at all while nothing runs."""

import streamlit as st

from pages.parts.opened import store
from pages.parts.run_words import STATES, share_done, step_text, title_of, waiting_text
from pages.parts.text import md
from unlearn_core.errors import UnlearnError
from unlearn_core.running import jobs
from unlearn_core.store.runs import RunRecord, RunState

_EVERY = 1.0  # seconds between two looks while something runs
_SEEN = "dock runs"


def dock() -> None:
    """Draws the dock where it is called; it looks again by itself only while something runs."""
    jobs.refresh(store())
    running = bool(store().unfinished())
    # A fragment of its own each time: an idle page must not poll.
    st.fragment(_draw, run_every=_EVERY if running else None)()


def cancel(run_id: str) -> None:
    """Cancels a run; for a button's callback."""
    try:
        jobs.cancel(store(), run_id)
    except UnlearnError as error:
        st.toast(md(str(error)))


def _draw() -> None:
    jobs.refresh(store())
    records = store().unfinished()
    before = st.session_state.get(_SEEN, ())
    st.session_state[_SEEN] = tuple(r.id for r in records)
    for run_id in set(before) - {r.id for r in records}:
        _tell(run_id)
    if records:
        st.markdown("**Running**" if len(records) == 1 else f"**Running and waiting · {len(records)}**")
    for record in records:
        _one(record)
    if before and not records:
        st.rerun()


def _one(record: RunRecord) -> None:
    progress = store().get(record.id).progress
    with st.container(border=True, gap="xsmall"):
        st.markdown(md(title_of(record)))
        waiting = record.state is RunState.QUEUED
        method = record.request.get("settings", {}).get("method", "")
        text = waiting_text(store(), record) if waiting else step_text(progress, method)
        st.progress(0.0 if waiting else share_done(progress))
        st.caption(md(text))
        stopping = store().cancel_file(record.id).exists()
        st.button(
            "Stopping …" if stopping else "Cancel",
            key=f"dock cancel {record.id}",
            on_click=cancel,
            args=(record.id,),
            disabled=stopping,
            width="stretch",
        )


def _tell(run_id: str) -> None:
    """Says once how a run ended, wherever the person is by then."""
    try:
        record = store().get(run_id)
    except UnlearnError:
        return  # deleted meanwhile
    st.toast(f"{md(title_of(record))}: {STATES[record.state]}")
