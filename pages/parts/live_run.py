"""A run as it goes: stage, curves and cancel while it works; a sentence and a next step when it has ended."""

from collections.abc import Callable

import streamlit as st

from pages.parts import selection
from pages.parts.charts import inked
from pages.parts.opened import store
from pages.parts.text import md
from pages.parts.watch import EVERY, cancel_button
from unlearn_core.errors import UnlearnError
from unlearn_core.plots.ladder import ladder, loss
from unlearn_core.results.loading import of_record
from unlearn_core.results.result import Forgetting
from unlearn_core.results.verdicts import headline
from unlearn_core.running import jobs
from unlearn_core.running.curves import Curves, curves_of
from unlearn_core.running.watching import glance, seconds_of_work
from unlearn_core.running.words import (
    again,
    forgets,
    forgotten,
    next_step,
    random_share,
    title_of,
)
from unlearn_core.store.runs import RunRecord, RunState
from unlearn_core.unlearning.beside import words_of
from unlearn_core.words import duration

_SHARE = (
    "✕ the images to forget · ● test images of all classes. The aim is not 0 %: a model retrained without these images "
    "still recognises most of them."
)


More = Callable[[RunRecord], None]


def panel(run_id: str, more: More | None = None) -> None:
    """Draws the run, with `more` of it while it works; it follows by itself until the run has ended."""
    unfinished = not store().get(run_id).state.final
    st.fragment(_draw, run_every=EVERY if unfinished else None)(run_id, unfinished, more)


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
    now = glance(store(), record)
    cancel_button(right, record, now)
    st.progress(now.share, text=md(now.text))
    if more is not None:
        more(record)
    _curves(record)
    ran = seconds_of_work(record)
    if ran and record.state is RunState.RUNNING:
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
    result = of_record(record)
    if not isinstance(result, Forgetting):
        st.error(
            f"**{name}** finished, but its files are damaged. {md(' '.join(record.damage))} Run it again."
        )
        return
    took = duration(seconds_of_work(record) or 0)
    st.success(f"**{name}** finished in {took}. {md(headline(result))}")
    if forgets(record):
        selection.link("pages/before_after.py", "See before and after", a="", b=record.id)


def _curves(record: RunRecord) -> bool:
    """What the run has reported so far; whether there was anything to draw."""
    curves = curves_of(store(), record)
    if curves is None:
        return False
    left, right = st.columns([2, 1])
    if curves.ladder:
        share = bool(random_share(record.request))
        controls = {f"control: {words_of(name)}": rows for name, rows in curves.controls.items()}
        chart = ladder(curves.ladder, controls, share)
        left.altair_chart(inked(chart), width="stretch", key=f"live {record.id}")
        if share:
            left.caption(_SHARE)
    with right:
        _numbers(record, curves)
    return True


def _numbers(record: RunRecord, curves: Curves) -> None:
    """The loss, and the latest accuracy by class."""
    if len(curves.losses) > 1:
        st.altair_chart(inked(loss(curves.losses)), width="stretch", key=f"loss {record.id}")
    if curves.loss is not None:
        st.caption(f"Loss now {curves.loss:.4g}")
    classes = selection.classes()
    if len(classes) == len(curves.by_class):
        gone = set(forgotten(record.request).split(","))
        rows = [
            {"class": f"✕ {c}" if c in gone else c, "test accuracy": 100 * a if a is not None else None}
            for c, a in zip(classes, curves.by_class, strict=True)
        ]
        bar = st.column_config.ProgressColumn(format="%.1f %%", min_value=0, max_value=100)
        st.dataframe(
            rows,
            hide_index=True,
            height=245,
            column_config={"test accuracy": bar},
            key=f"classes {record.id}",
        )
