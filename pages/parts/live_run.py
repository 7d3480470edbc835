"""A run as it goes: stage, curves and cancel while it works; a sentence and a next step when it has ended."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from pages.parts import selection
from pages.parts.charts import inked
from pages.parts.dock import cancel
from pages.parts.opened import store
from pages.parts.run_words import (
    again,
    forgets,
    forgotten,
    next_step,
    random_share,
    seconds_of,
    share_done,
    step_text,
    title_of,
    waiting_text,
)
from pages.parts.text import md
from unlearn_core.errors import UnlearnError
from unlearn_core.plots.ladder import ladder, loss
from unlearn_core.results.verdicts import finding
from unlearn_core.running import jobs
from unlearn_core.store.runs import RunRecord, RunState, events
from unlearn_core.unlearning.beside import words_of
from unlearn_core.words import duration

_EVERY = 1.0  # seconds
_SHARE = (
    "✕ the images to forget · ● test images of all classes. The aim is not 0 %: a model retrained without these images "
    "still recognises most of them."
)


More = Callable[[RunRecord], None]


def panel(run_id: str, more: More | None = None) -> None:
    """Draws the run, with `more` of it while it works; it follows by itself until the run has ended."""
    unfinished = not store().get(run_id).state.final
    st.fragment(_draw, run_every=_EVERY if unfinished else None)(run_id, unfinished, more)


def resume(run_id: str) -> None:
    """Starts another attempt; for a button's callback."""
    try:
        jobs.resume(store(), run_id)
    except UnlearnError as error:
        st.toast(md(str(error)))


def _draw(run_id: str, was_unfinished: bool, more: More | None) -> None:
    jobs.refresh(store())
    record = store().get(run_id)
    if record.state.final and was_unfinished:
        st.rerun()
    with st.container(border=True):
        if record.state.final:
            _ended(record)
        else:
            _working(record, more)


def _working(record: RunRecord, more: More | None) -> None:
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.markdown(f"**{md(title_of(record))}**")
    stopping = store().cancel_file(record.id).exists()
    right.button(
        "Stopping …" if stopping else "Cancel",
        on_click=cancel,
        args=(record.id,),
        disabled=stopping,
        width="stretch",
    )
    waiting = record.state is RunState.QUEUED
    text = waiting_text(store(), record) if waiting else step_text(record.progress, _method(record))
    st.progress(0.0 if waiting else share_done(record.progress), text=md(text))
    if more is not None:
        more(record)
    _curves(record)
    ran = seconds_of(record)
    if ran and not waiting:
        st.caption(f"Live numbers, not yet a result · attempt {record.attempt} · running for {duration(ran)}")


def _ended(record: RunRecord) -> None:
    name = md(title_of(record))
    if record.state is RunState.SUCCEEDED:
        _succeeded(record, name)
        return
    draw = st.error if record.state is RunState.FAILED else st.warning
    failed = " failed" if record.state is RunState.FAILED else ""
    draw(f"**{name}**{failed}. {md(record.error)}")
    st.markdown(next_step(record))
    st.button(again(record), on_click=resume, args=(record.id,), key=f"again {record.id}")
    if _curves(record):
        st.caption("Curves up to where it stopped: partial, no result.")


def _succeeded(record: RunRecord, name: str) -> None:
    result = record.result
    if result is None:
        st.error(
            f"**{name}** finished, but its files are damaged. {md(' '.join(record.damage))} Run it again."
        )
        return
    took = duration(seconds_of(record) or 0)
    retrained = result["controls"].get("retrain", {}).get("evaluation")
    told = finding(result["before"], result["after"], result.get("plan"), retrained=retrained)
    st.success(f"**{name}** finished in {took}. {md(told)}")
    if forgets(record):
        selection.link("pages/before_after.py", "See before and after", a="", b=record.id)


def _curves(record: RunRecord) -> bool:
    """What the run has reported so far; whether there was anything to draw."""
    told = [e for e in events(store().folder(record.id)) if e.get("attempt") == record.attempt]
    rungs = [
        e["metrics"]
        for e in told
        if "rung" in e["metrics"] and e["metrics"].get("retain_test_accuracy") is not None
    ]
    if not rungs:
        return False
    method = _method(record)
    courses: dict[str, list[dict[str, Any]]] = {}
    for metrics in rungs:
        courses.setdefault(str(metrics.get("part", method)), []).extend(_rows(metrics))
    main = courses.pop(method, [])
    left, right = st.columns([2, 1])
    if main:
        share = bool(random_share(record.request))
        chart = ladder(
            _unique(main), {f"control: {words_of(k)}": _unique(v) for k, v in courses.items()}, share
        )
        left.altair_chart(inked(chart), width="stretch", key=f"live {record.id}")
        if share:
            left.caption(_SHARE)
    with right:
        _numbers(record, rungs[-1], _losses(told, record))
    return True


def _numbers(record: RunRecord, metrics: Mapping[str, Any], losses: list[dict[str, Any]]) -> None:
    """The loss, and the latest accuracy by class."""
    if len(losses) > 1:
        st.altair_chart(inked(loss(losses)), width="stretch", key=f"loss {record.id}")
    if record.progress and record.progress["metrics"].get("loss") is not None:
        st.caption(f"Loss now {record.progress['metrics']['loss']:.4g}")
    classes = selection.classes()
    if len(classes) == len(metrics.get("per_class", ())):
        gone = set(forgotten(record.request).split(","))
        rows = [
            {"class": f"✕ {c}" if c in gone else c, "test accuracy": 100 * a if a is not None else None}
            for c, a in zip(classes, metrics["per_class"], strict=True)
        ]
        bar = st.column_config.ProgressColumn(format="%.1f %%", min_value=0, max_value=100)
        st.dataframe(
            rows,
            hide_index=True,
            height=245,
            column_config={"test accuracy": bar},
            key=f"classes {record.id}",
        )


def _losses(told: list[dict[str, Any]], record: RunRecord) -> list[dict[str, Any]]:
    """The loss of the part that is at work."""
    present = (record.progress or {}).get("metrics", {}).get("part")
    rows = [
        {"step": e["done"], "loss": e["metrics"]["loss"]}
        for e in told
        if e["metrics"].get("part") == present and e["metrics"].get("loss") is not None
    ]
    now = (record.progress or {}).get("metrics", {}).get("loss")
    return rows if now is None else [*rows, {"step": record.progress["done"], "loss": now}]


def _rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for group, key in (
        ("forgotten", "forget_test_accuracy"),
        ("forgotten", "forget_train_accuracy"),
        ("retained", "retain_test_accuracy"),
    ):
        if metrics.get(key) is not None:
            share = 100 * metrics[key]
            rows.append(
                {
                    "step": 0,
                    "rung": metrics["rung"],
                    "group": group,
                    "accuracy": share,
                    "low": share,
                    "high": share,
                    "images": 0,
                }
            )
    return rows


def _unique(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a rung and group: a rung is reported with every batch of the epoch after it."""
    return list({(r["rung"], r["group"]): r for r in rows}.values())


def _method(record: RunRecord) -> str:
    return str(record.request.get("settings", {}).get("method", ""))
