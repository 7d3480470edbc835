"""What every view of runs at work has: which run it is, how often to look again, and the button that cancels it."""

from typing import Any

import streamlit as st

from pages.parts.opened import store
from pages.parts.text import md
from unlearn_core.errors import UnlearnError
from unlearn_core.running import jobs
from unlearn_core.running.watching import Glance
from unlearn_core.store.runs import RunRecord, RunState

EVERY = 1.0
"""Seconds between two looks while something runs."""


def followed(kind: str) -> RunRecord | None:
    """The run of a kind that works or waits; else the newest one, where it ended while the page was open, or badly."""
    key = f"{kind} followed"
    unfinished = [r for r in store().unfinished() if r.kind == kind]
    if unfinished:
        run = next((r for r in unfinished if r.state is RunState.RUNNING), unfinished[0])
        st.session_state[key] = run.id
        return run
    newest = next(iter(store().list(kind, 1)), None)
    if newest is None:
        return None
    ours, unresolved = st.session_state.get(key) == newest.id, newest.state is not RunState.SUCCEEDED
    return newest if ours or unresolved else None


def cancel_button(place: Any, record: RunRecord, now: Glance, key: str | None = None) -> None:
    """Draws the button at its place."""
    place.button(
        "Stopping …" if now.stopping else "Cancel",
        key=key,
        on_click=_cancel,
        args=(record.id,),
        disabled=now.stopping,
        width="stretch",
    )


def _cancel(run_id: str) -> None:
    try:
        jobs.cancel(store(), run_id)
    except UnlearnError as error:
        st.toast(md(str(error)))
