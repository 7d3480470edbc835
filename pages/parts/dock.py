"""The job dock: what runs now, on every page; nothing at all while nothing runs."""

import streamlit as st

from pages.parts.opened import store
from pages.parts.text import md
from pages.parts.watch import EVERY, cancel_button
from unlearn_core.errors import UnlearnError
from unlearn_core.running import jobs
from unlearn_core.running.watching import glance
from unlearn_core.running.words import STATES, title_of
from unlearn_core.store.runs import RunRecord

_SEEN = "dock runs"


def dock() -> None:
    """Draws the dock where it is called; it looks again by itself only while something runs."""
    jobs.refresh(store())
    running = bool(store().unfinished())
    # A fragment of its own each time: an idle page must not poll.
    st.fragment(_draw, run_every=EVERY if running else None)()


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
    now = glance(store(), store().get(record.id))
    with st.container(border=True, gap="xsmall"):
        st.markdown(md(title_of(record)))
        st.progress(now.share)
        st.caption(md(now.text))
        cancel_button(st, record, now, f"dock cancel {record.id}")


def _tell(run_id: str) -> None:
    """Says once how a run ended, wherever the person is by then."""
    try:
        record = store().get(run_id)
    except UnlearnError:
        return  # deleted meanwhile
    st.toast(f"{md(title_of(record))}: {STATES[record.state]}")
