"""Forget: pick classes and a method, see what would happen, start, watch, cancel."""

import hashlib
import json
import secrets
from typing import Any

import streamlit as st

from pages.parts import forget_form, frame, live_run, preview_panel, selection
from pages.parts.estimate import estimate
from pages.parts.opened import opened, store
from pages.parts.text import md
from unlearn_core import jobs
from unlearn_core.errors import UnlearnError
from unlearn_core.runs import RunRecord, RunState

_NONCE = "forget nonce"
_REFUSED = "forget refused"


def page() -> None:
    """The whole page."""
    chosen = selection.current()
    if not chosen.model:
        frame.head("Forget")
        frame.no_model()
        return
    top = st.empty()
    _head(top, chosen, None)
    _follow_newest()
    left, right = st.columns([5, 6], gap="large")
    with left:
        request, device, name = forget_form.draw(chosen)
        _start_button(request, device, name)
        below = st.empty()
    with right:
        shown = _what_would_happen(chosen, request)
    if shown is not None:
        _head(top, chosen, shown)
    if chosen.forget or request["settings"]["fraction"]:
        # Last, as it opens model and data and may measure: the form is there before.
        below.caption(md(" ".join(_time_and_reference(chosen, request, device))))


def _head(place: Any, chosen: selection.Selection, shown: dict[str, Any] | None) -> None:
    model = f"{chosen.model} on {chosen.data}"
    with place.container():
        if shown is None:
            frame.head(
                "Forget",
                "Pick classes and see what pruning would do; nothing changes until you press Start.",
                model,
            )
        else:
            about = f"{model} · preview on {shown['images']:,} test images, before fine-tuning"
            frame.head("Forget", preview_panel.sentence(shown), about)


def _start_button(request: dict[str, Any], device: str, name: str) -> None:
    token = _token(request, device)
    same = next((r for r in store().unfinished() if r.token == token), None)
    nothing = not request["settings"]["forget"] and not request["settings"]["fraction"]
    st.button(
        "Started" if same else "Start",
        type="primary",
        disabled=nothing or same is not None,
        on_click=_submit,
        args=(request, token, device, name),
        width="stretch",
        help="Pick a class first." if nothing else None,
    )
    if st.session_state.get(_REFUSED):
        st.error(md(st.session_state.pop(_REFUSED)))


def _submit(request: dict[str, Any], token: str, device: str, name: str) -> None:
    try:
        jobs.submit(store(), "unlearn", request, token, device, name)
    except UnlearnError as error:
        st.session_state[_REFUSED] = str(error)


def _token(request: dict[str, Any], device: str) -> str:
    """The same for the same form until its run has ended: however often Start is pressed, one run comes of it."""
    nonce = st.session_state.setdefault(_NONCE, secrets.token_hex(16))
    token = _hashed(nonce, request, device)
    if any(r.token == token and r.state.final for r in store().list("unlearn", 50)):
        st.session_state[_NONCE] = nonce = secrets.token_hex(16)
    return _hashed(nonce, request, device)


def _hashed(nonce: str, request: dict[str, Any], device: str) -> str:
    return hashlib.sha256(json.dumps([nonce, request, device], sort_keys=True).encode()).hexdigest()


def _follow_newest() -> None:
    """The newest run that works or waits; else the newest one, where it ended while this form was open."""
    record = _newest()
    if record is not None:
        live_run.panel(record.id)


def _newest() -> RunRecord | None:
    waiting = [r for r in store().unfinished() if r.kind == "unlearn"]
    running = [r for r in waiting if r.state is RunState.RUNNING]
    if waiting:
        shown = (running or waiting)[0]
        st.session_state["forget followed"] = shown.id
        return shown
    newest = next(iter(store().list("unlearn", 1)), None)
    followed = newest is not None and st.session_state.get("forget followed") == newest.id
    unresolved = newest is not None and newest.state is not RunState.SUCCEEDED
    return newest if followed or unresolved else None


def _what_would_happen(chosen: selection.Selection, request: dict[str, Any]) -> dict[str, Any] | None:
    st.subheader("What would happen")
    settings = request["settings"]
    if settings["method"] != "tfidf_prune":
        st.info("This method prunes nothing, so there is nothing to preview: its effect comes from training.")
        return None
    if not settings["forget"]:
        st.info(
            "Pick a class on the left: its channels are silenced at once, and you see what that does to every class."
        )
        return None
    try:
        with st.spinner("Silencing channels …"):
            shown = preview_panel.preview_of(chosen, request["params"], settings["seed"])
    except UnlearnError as error:
        st.error(md(str(error)))
        return None
    preview_panel.draw(shown)
    return shown


def _time_and_reference(chosen: selection.Selection, request: dict[str, Any], device: str) -> list[str]:
    told = []
    if store().unfinished():
        told.append("The time is not estimated while another run is using the machine.")
    else:
        try:
            told.append(estimate(chosen, request, device))
        except UnlearnError as error:
            told.append(str(error))
    if _has_reference(chosen):
        told.append(
            "A stored retrained reference for these classes is shown beside the result; it need not run again."
        )
    return told


def _has_reference(chosen: selection.Selection) -> bool:
    """Whether what retraining gives is stored for this bundled model and these classes."""
    if not chosen.forget or not chosen.model.startswith("bundled:"):
        return False
    from unlearn_core.data import ForgetSpec, split_dataset
    from unlearn_core.workflows import stored_reference

    try:
        with opened(chosen) as (loaded, data):
            return stored_reference(loaded, split_dataset(data, ForgetSpec(chosen.forget))) is not None
    except UnlearnError:
        return False


frame.show(page)
