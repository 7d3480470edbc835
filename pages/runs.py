"""Runs: every run kept here, with its files, its settings and the command that repeats it."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import frame, selection
from pages.parts.downloads import table_behind
from pages.parts.opened import store
from pages.parts.runs import card
from pages.parts.runs.table import list_key
from pages.parts.text import md
from unlearn_core.results.loading import of_record
from unlearn_core.results.result import Forgetting, Result
from unlearn_core.running import jobs
from unlearn_core.running.watching import seconds_of_work
from unlearn_core.running.words import STATES, forgets, forgotten, label_of, title_of, when
from unlearn_core.store.runs import RunRecord, RunState
from unlearn_core.words import counted, duration, figure, percent

_MOST = 500


def page() -> None:
    """The whole page."""
    jobs.refresh(store())
    records = store().list(limit=_MOST)
    if not records:
        frame.head(
            "Runs", "There is no run yet: whatever you start is kept here, with its files and settings."
        )
        selection.link("pages/forget.py", "Go to Forget and start one")
        return
    frame.head("Runs", _finding(records), f"Kept under {store().root}")
    shown = _filtered(records)
    picked = _list(shown)
    if not shown:
        st.info("No run matches; clear the filter to see all.")
    elif len(picked) == 2:
        _compare(picked)
    elif picked:
        card.draw(picked[0].id)
    else:
        st.caption("Tick a run to open it, or two finished unlearning runs to compare them.")


def _finding(records: tuple[RunRecord, ...]) -> str:
    counts = {state: sum(r.state is state for r in records) for state in STATES}
    told = [f"{count} {STATES[state]}" for state, count in counts.items() if count]
    return f"{counted(len(records), 'run')}: {', '.join(told)}."


def _filtered(records: tuple[RunRecord, ...]) -> list[RunRecord]:
    left, middle, right = st.columns([2, 1, 1])
    text = left.text_input(
        "Search", key="runs search", placeholder="name, note, class or id", persist_state="session"
    )
    kinds = middle.multiselect(
        "Kind",
        sorted({r.kind for r in records}),
        format_func=label_of,
        key="runs kind",
        placeholder="all",
    )
    states = right.multiselect(
        "State",
        [s for s in STATES if any(r.state is s for r in records)],
        format_func=STATES.get,
        key="runs state",
        placeholder="all",
    )
    words = text.casefold().split()
    return [
        r
        for r in records
        if (not kinds or r.kind in kinds)
        and (not states or r.state in states)
        and all(w in f"{r.name} {r.note} {r.id} {forgotten(r.request)}".casefold() for w in words)
    ]


def _list(records: list[RunRecord]) -> list[RunRecord]:
    """The table of runs; those that are ticked, one or two."""
    rows = [_row(r) for r in records]
    if not rows:
        return []
    wanted = st.session_state.get("runs open")
    event = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=list_key(records),
        height=min(420, 38 + 35 * len(rows)),
    )
    ticked = [records[i] for i in event.selection.rows if i < len(records)][:2]
    if ticked:
        st.session_state["runs open"] = ticked[0].id
        return ticked
    return [r for r in records if r.id == wanted] or records[:1]


def _row(record: RunRecord) -> dict[str, Any]:
    seconds = seconds_of_work(record)
    result = _result(record)
    damaged = result is None and record.state is RunState.SUCCEEDED
    return {
        "name": title_of(record),
        "kind": label_of(record.kind),
        "state": "damaged" if damaged or record.kind == "damaged" else STATES[record.state],
        "forgets": forgotten(record.request),
        "forgotten class": _moved(record, result, "forget_test_accuracy"),
        "others": _moved(record, result, "retain_test_accuracy"),
        "when": when(record.created),
        "took": duration(seconds) if seconds is not None else "",
        "note": record.note,
    }


def _moved(record: RunRecord, result: Result | None, name: str) -> str:
    if not isinstance(result, Forgetting) or not forgets(record):
        return ""
    before, after = getattr(result.before, name), getattr(result.after, name)
    return "" if None in (before, after) else f"{figure(before)} → {percent(after)}"


def _result(record: RunRecord) -> Result | None:
    """A finished run's result; None for others and for damaged ones."""
    return of_record(store().get(record.id)) if record.state is RunState.SUCCEEDED else None


def _compare(picked: list[RunRecord]) -> None:
    st.subheader("Compare two runs")
    if any(not forgets(r) or _result(r) is None for r in picked):
        st.info("Only finished unlearning runs can be compared; tick two of them.")
        return
    b, a = picked
    st.markdown(f"A: {md(title_of(a))} · B: {md(title_of(b))}")
    selection.link("pages/before_after.py", "Compare them class by class", a=a.id, b=b.id)
    rows = [_side(a), _side(b)]
    facts = [
        {"fact": k, "A": str(rows[0][k]), "B": str(rows[1][k])}
        for k in dict.fromkeys([*rows[0], *rows[1]])
        if k in rows[0] and k in rows[1]
    ]
    st.dataframe(pd.DataFrame(facts), hide_index=True)
    table_behind(facts, "two_runs")


def _side(record: RunRecord) -> dict[str, Any]:
    settings, params = record.request.get("settings", {}), record.request.get("params", {})
    return {**_row(record), **settings, **params}


frame.show(page)
