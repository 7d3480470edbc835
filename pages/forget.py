"""Forget: pick classes and a method, see what would happen, start, watch, cancel."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from pages.parts import estimate, frame, live_run, selection
from pages.parts.forget import ahead, form, preview, start
from pages.parts.opened import opened
from pages.parts.text import md
from pages.parts.watch import followed
from unlearn_core.errors import UnlearnError
from unlearn_core.results.result import Part
from unlearn_core.running.orders import Order
from unlearn_core.words import listed, quoted


def page() -> None:
    """The whole page."""
    chosen = selection.current()
    if not chosen.model:
        frame.head("Forget")
        frame.no_model()
        return
    top = st.empty()
    _head(top, chosen, "")
    if (run := followed("unlearn")) is not None:
        live_run.panel(run.id)
    left, right = st.columns([5, 6], gap="large")
    with left:
        draft = form.draw(chosen)
        start.button(draft)
        below = st.empty()
    with right:
        text, about = _what_would_happen(chosen, draft.request)
    if text:
        _head(top, chosen, text, about)
    if draft.plans and not draft.problem:
        # Last, as it opens model and data and may measure: the form is there before.
        requests = [p.request for p in draft.plans]
        below.caption(md(" ".join(_time_and_reference(chosen, requests, draft.device))))


def _head(place: Any, chosen: selection.Selection, text: str, about: str = "") -> None:
    text = text or "Pick classes and see what pruning would do; nothing changes until you press Start."
    with place.container():
        frame.head("Forget", text, " · ".join(w for w in (f"{chosen.model} on {chosen.data}", about) if w))


def _what_would_happen(chosen: selection.Selection, request: Mapping[str, Any]) -> tuple[str, str]:
    """Draws what can be known before anything runs; the sentence that opens the page, and what it was measured on."""
    st.subheader("What would happen")
    settings = request["settings"]
    try:
        if settings["fraction"]:
            return ahead.draw(chosen, settings["fraction"], settings["share_seed"]), ""
        if settings["method"] != "tfidf_prune":
            return _ahead_of_training(chosen, settings), ""
        return _preview(chosen, request)
    except UnlearnError as error:
        st.error(md(str(error)))
        return "", ""


def _preview(chosen: selection.Selection, request: Mapping[str, Any]) -> tuple[str, str]:
    """What silencing does to the basket's classes; with nothing in it, to the class in focus."""
    supposed = chosen.cls if not chosen.forget else ""
    if supposed:
        st.info(
            md(
                f"Nothing is in the basket yet. This is what would happen if you forgot “{supposed}”, the class in focus."
            )
        )
        st.button(
            md(f"✕ Put “{supposed}” into the basket"),
            key="forget focus",
            on_click=lambda: selection.choose(forget=(supposed,)),
        )
    with st.spinner("Silencing channels …"):
        silenced = preview.preview_of(
            replace(chosen, forget=chosen.forget or (supposed,)),
            request["params"],
            request["settings"]["seed"],
        )
    preview.draw(silenced)
    about = f"preview on {silenced.images:,} test images, before fine-tuning"
    return preview.sentence(silenced, supposed), about


def _ahead_of_training(chosen: selection.Selection, settings: Mapping[str, Any]) -> str:
    """What will be measured where nothing can be previewed; the sentence that opens the page."""
    if not chosen.forget:
        st.info("This method prunes nothing, so there is nothing to preview. Pick a class on the left.")
        return ""
    st.markdown(
        "This method prunes nothing, so there is nothing to silence ahead: what it does is measured while it runs, on the "
        "images to forget and on all others. Whether the class is gone is told by:"
    )
    ahead.targets(_reference(chosen, settings), share=False)
    names = listed([quoted(name) for name in chosen.forget])
    return f"{names} would be forgotten by changing weights, not by pruning; nothing changes until you press Start."


def _time_and_reference(
    chosen: selection.Selection, requests: Sequence[Mapping[str, Any]], device: str
) -> list[str]:
    told = [estimate.sentence(chosen, [Order("unlearn", request, device) for request in requests])]
    if _reference(chosen, requests[0]["settings"]):
        told.append("A stored retrained reference is shown beside the result; it need not run again.")
    return told


def _reference(chosen: selection.Selection, settings: Mapping[str, Any]) -> Part | None:
    """What retraining gave, where that is stored for this bundled model and what is to be forgotten."""
    if not chosen.model.startswith("bundled:"):
        return None
    classes = () if settings["fraction"] else chosen.forget
    try:
        with opened(chosen) as (loaded, data):
            return _stored(
                loaded.digest,
                data.digest,
                classes,
                settings["fraction"],
                settings["share_seed"],
                loaded,
                data,
            )
    except UnlearnError:
        return None


@st.cache_resource(show_spinner=False, max_entries=64)
def _stored(
    model: str, data: str, classes: tuple[str, ...], fraction: float, seed: int, _loaded: Any, _data: Any
) -> Part | None:
    from unlearn_core.data.split import ForgetSpec, split_dataset
    from unlearn_core.workflows.unlearn import stored_reference

    return stored_reference(_loaded, split_dataset(_data, ForgetSpec(classes, fraction, seed)))


frame.show(page)
