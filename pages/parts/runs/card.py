"""One run in full: what it is, what came of it, its files, and what can be done with it."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import live_run, methods, selection
from pages.parts.compared import num_channels, side
from pages.parts.downloads import csv_bytes, json_bytes
from pages.parts.opened import store
from pages.parts.sparsity import result as sparsity_result
from pages.parts.text import md
from unlearn_core.errors import UnlearnError
from unlearn_core.results import comparison
from unlearn_core.results.loading import of_record
from unlearn_core.results.result import (
    FederatedResult,
    Forgetting,
    ScoreResult,
    SparsifyResult,
    TrainResult,
    UnlearnResult,
)
from unlearn_core.results.verdicts import headline
from unlearn_core.running.kinds.federated import DEEDS
from unlearn_core.running.reproduce import command_line
from unlearn_core.running.watching import seconds_of_work
from unlearn_core.running.words import STATES, again, forgets, next_step, title_of, when
from unlearn_core.store.files import read_json
from unlearn_core.store.runs import RunRecord, RunState
from unlearn_core.unlearning.provenance import sentence_of
from unlearn_core.unlearning.registry import short_label
from unlearn_core.words import duration, percent, size

_LOG_BYTES = 20_000


def draw(run_id: str) -> None:
    """The whole card."""
    record = store().get(run_id)
    st.subheader(md(title_of(record)))
    taken = seconds_of_work(record)
    st.caption(
        md(
            f"{record.id} · {STATES[record.state]} · on {record.device} · asked for {when(record.created)}"
            + (f" · took {duration(taken)}" if taken is not None else "")
            + (f" · attempt {record.attempt}" if record.attempt > 1 else "")
        )
    )
    _state(record)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _outcome(record)
        _command(record)
        _details(record)
    with right:
        _edit(record)
        _downloads(record)
        _delete(record)


def _state(record: RunRecord) -> None:
    if not record.state.final:
        live_run.panel(record.id)
    elif record.damage:
        st.error(
            "**Damaged.** "
            + md(" ".join(record.damage))
            + " Its numbers are not shown. Run it again with the command below."
        )
    elif record.state is not RunState.SUCCEEDED:
        (st.error if record.state is RunState.FAILED else st.warning)(md(record.error))
        if record.kind != "damaged":
            st.markdown(next_step(record))
            st.button(again(record), key=f"resume {record.id}", on_click=live_run.resume, args=(record.id,))


def _outcome(record: RunRecord) -> None:
    result = of_record(record)
    if isinstance(result, UnlearnResult):
        _unlearned(record, result)
    elif isinstance(result, FederatedResult):
        _federated(record, result)
    elif isinstance(result, TrainResult):
        st.markdown(f"**Test accuracy {percent(result.after.test_accuracy, 2)} after training.**")
    elif isinstance(result, SparsifyResult):
        st.markdown(f"**{md(sparsity_result.sentence(result))}**")
        sparsity_result.numbers(result)
        data = str(record.request["settings"]["data"])
        selection.link(
            "pages/forget.py", "Unlearn from this sparse model", model=f"run:{record.id}", data=data
        )
    elif isinstance(result, ScoreResult):
        layers = result.layers
        st.markdown(f"**Scored {sum(layers.values()):,} channels of {len(layers)} layers.**")
        selection.link("pages/channel_scores.py", "See the scores")


def _unlearned(record: RunRecord, result: UnlearnResult) -> None:
    text = headline(result, num_channels(side(record.id)), short_label(result.method))
    st.markdown(f"**{md(text)}**")
    st.caption(md(f"{sentence_of(result.chosen)} {methods.batch_norms(result)}".strip()))
    for note in result.notes:
        st.warning(md(note))
    selection.link("pages/before_after.py", "See before and after", a="", b=record.id)


def _federated(record: RunRecord, result: FederatedResult) -> None:
    federation = result.federation
    channels = num_channels(side(record.id)) if result.plan else 0
    label = f"Federated {DEEDS[result.action]}"
    st.markdown(f"**{md(headline(result, channels, label))}**")
    sent = size(federation.bytes_down + federation.bytes_up)
    missing = len(federation.events)
    st.caption(
        md(
            f"{federation.clients} clients, {federation.partition} · {sent} sent · {missing} answers missing or "
            "rejected"
        )
    )
    selection.link("pages/federated.py", "See how it went", b=record.id)
    if forgets(record):
        selection.link("pages/before_after.py", "See before and after", a="", b=record.id)


def _command(record: RunRecord) -> None:
    line = command_line(record.kind, record.request)
    if line:
        st.markdown("**The command that repeats it**")
        st.code(line, language="bash", wrap_lines=True)


def _details(record: RunRecord) -> None:
    with st.expander("Settings"):
        values = {k: v for part in record.request.values() if isinstance(part, dict) for k, v in part.items()}
        st.dataframe([{"setting": k, "value": str(v)} for k, v in values.items()], hide_index=True)
    if record.state is RunState.SUCCEEDED:
        _manifest(record)
    with st.expander("Log"):
        text = store().folders.log(record.id, _LOG_BYTES)
        st.code(
            text or "The process printed nothing.",
            language=None,
            wrap_lines=True,
            height=260 if text else "content",
        )


def _manifest(record: RunRecord) -> None:
    with st.expander("Versions, files and hashes"):
        if record.damage:
            st.error(md(" ".join(record.damage)))
        else:
            st.success("Verified: every file is as the run wrote it (SHA-256).")
        try:
            manifest = read_json(store().folder(record.id) / "manifest.json")
        except UnlearnError as error:
            st.error(md(str(error)))
            return
        inputs = (record.result or {}).get("inputs", {})
        facts = {
            **manifest.get("versions", {}),
            **{k: inputs[k] for k in ("model_digest", "data_digest") if k in inputs},
        }
        st.dataframe([{"what": k, "value": str(v)} for k, v in facts.items()], hide_index=True)
        st.dataframe(pd.DataFrame(manifest.get("artifacts", [])), hide_index=True)


def _edit(record: RunRecord) -> None:
    st.markdown("**Name and note**")
    name, note = f"name {record.id}", f"note {record.id}"
    st.session_state.setdefault(name, record.name)
    st.session_state.setdefault(note, record.note)
    st.text_input("Name", key=name, max_chars=200, on_change=_rename, args=(record.id, name))
    st.text_area("Note", key=note, max_chars=20_000, on_change=_annotate, args=(record.id, note), height=90)


def _rename(run_id: str, key: str) -> None:
    _tried(lambda: store().rename(run_id, st.session_state[key]))


def _annotate(run_id: str, key: str) -> None:
    _tried(lambda: store().annotate(run_id, st.session_state[key]))


def _tried(change: Any) -> None:
    try:
        change()
    except UnlearnError as error:
        st.toast(md(str(error)))


def _downloads(record: RunRecord) -> None:
    """Made on the click, not before."""
    if not record.state.final or record.kind == "damaged":
        return
    st.markdown("**Take it home**")
    row = st.container(horizontal=True)
    files = store().files(record.id) if record.state is RunState.SUCCEEDED and not record.damage else {}
    if "model.safetensors" in files:
        _download(
            row,
            f"Weights ({size(files['model.safetensors'])})",
            lambda: store().artifact(record.id, "model.safetensors").read_bytes(),
            record,
            "safetensors",
        )
    if record.result is not None:
        _download(row, "JSON", lambda: json_bytes(store().result(record.id)), record, "json")
    result = of_record(record)
    if isinstance(result, Forgetting) and forgets(record):
        _download(
            row, "CSV", lambda: csv_bytes(comparison.per_class(result.before, result.after)), record, "csv"
        )
        _download(row, "PNG", lambda: _picture(record, result), record, "png")
    if "scores.npz" in files:
        _download(
            row, "Scores (npz)", lambda: store().artifact(record.id, "scores.npz").read_bytes(), record, "npz"
        )
    _download(row, "Everything (zip)", lambda: store().export(record.id), record, "zip")


def _download(row: Any, label: str, make: Any, record: RunRecord, ending: str) -> None:
    row.download_button(
        label,
        data=make,
        file_name=f"lethe-{record.id}.{ending}",
        on_click="ignore",
        key=f"{ending} {record.id}",
    )


def _picture(record: RunRecord, result: Forgetting) -> bytes:
    from unlearn_core.plots.figure import result_png

    text = headline(result, num_channels(side(record.id)))
    ladder = comparison.ladder(result.before, result.ladder)
    return result_png(text, ladder, comparison.per_class(result.before, result.after))


def _delete(record: RunRecord) -> None:
    if not record.state.final:
        return
    with st.popover("Delete …"):
        st.markdown(f"Delete {md(title_of(record))} and all its files? This can't be undone.")
        if st.button("Delete it", key=f"delete {record.id}", type="primary"):
            try:
                store().delete(record.id)
            except UnlearnError as error:
                st.error(md(str(error)))
                return
            st.session_state.pop("runs open", None)
            st.rerun()
