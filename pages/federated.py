"""Federated: clients that keep their images, forgetting together; who holds what, what is sent, and how it goes."""

from importlib.util import find_spec

import streamlit as st

from pages.parts import compared, estimate, frame, live_run, selection, start
from pages.parts.federated import form as federated_form
from pages.parts.federated import live, picture, result, runs, scores
from pages.parts.federated.result import Shown
from pages.parts.text import md
from pages.parts.watch import followed
from unlearn_core.errors import UnlearnError
from unlearn_core.results import federation
from unlearn_core.results.verdicts import headline
from unlearn_core.running.kinds.federated import DEEDS
from unlearn_core.store.runs import RunRecord

_SET_UP = "Set up"
_NO_FLOWER = (
    "Federated runs need Flower, which isn't installed here: pip install -r requirements-federated.txt"
)


def page() -> None:
    """The whole page."""
    chosen = selection.current()
    if not chosen.model:
        frame.head("Federated")
        frame.no_model()
        return
    top = st.container()
    records = runs.finished()
    run = result.opened(runs.shown(chosen, records))
    following = followed("federated")
    if following is not None:
        live_run.panel(following.id, live.live)
    names = [_SET_UP, "Protocol", "Race", "Clients’ scores", "Averaging", "Privacy", "Events"]
    first = "Protocol" if run is not None and run.record.id == chosen.b else _SET_UP
    drawn = st.tabs(names, default=first, key="view", on_change="rerun", bind="query-params")
    tabs = dict(zip(names, drawn, strict=True))
    if tabs[_SET_UP].open:
        with tabs[_SET_UP]:
            _set_up(chosen, top, run)
        return
    with top:
        _head(run)
    for name, tab in tabs.items():
        if tab.open:
            with tab:
                _result(name, chosen, run, records)


def _head(run: Shown | None) -> None:
    if run is None:
        frame.head("Federated", "No federated run has finished yet, so there is nothing to show of one.")
        return
    side = compared.side(run.record.id)
    channels = compared.num_channels(side) if side.result.plan else 0
    label = f"Federated {DEEDS[run.result['action']]}"
    text = headline(side.result, channels, label)
    frame.head("Federated", text, result.summary(run))


def _set_up(chosen: selection.Selection, top: st.delta_generator.DeltaGenerator, run: Shown | None) -> None:
    left, right = st.columns([5, 7], gap="large")
    with left:
        form = federated_form.draw(chosen)
    with form.start:
        refused = _refused(form.order.request["settings"])
        start.button("Start", lambda nonce: [form.order], "federated start", refused=refused)
        if find_spec("flwr") is None:
            st.info(md(_NO_FLOWER))
        below = st.empty()
    with right:
        st.subheader("Who holds what")
        said = _picture(chosen)
    with top:
        frame.head(
            "Federated",
            said,
            f"{chosen.model} on {chosen.data} · drawn before the run, the same for the same seed",
        )
    below.caption(md(estimate.sentence(chosen, [form.order])))


def _refused(settings: dict[str, object]) -> str:
    """Why the form can't be started; empty when it can."""
    if find_spec("flwr") is None:
        return "Flower isn't installed."
    if settings["action"] != "train" and not settings["forget"]:
        return "Pick a class first."
    return ""


def _picture(chosen: selection.Selection) -> str:
    """Draws the partition of the form; the sentence of what is to be seen."""
    if federated_form.own_images():
        st.info("The SuperNodes of that SuperLink hold images of their own; which, is not known here.")
        return "Clients elsewhere take part with images that nobody here sees."
    try:
        clients, partition, seed = federated_form.partition_shown()
        held = picture.held_by(chosen, clients, partition, seed)
    except UnlearnError as error:
        st.error(md(str(error)))
        return "These images can't be dealt to these clients."
    classes = selection.classes()
    forget = [classes.index(name) for name in chosen.forget]
    picture.draw(held, classes, forget, "of_form")
    return federation.holding_sentence(held, classes, forget)


def _result(name: str, chosen: selection.Selection, run: Shown | None, records: list[RunRecord]) -> None:
    if run is None:
        st.info(f"Nothing to show yet: press Start under “{_SET_UP}”, and watch the clients forget.")
        return
    runs.picker(chosen, records, run.record)
    try:
        if name == "Race":
            result.race(run, records)
        else:
            _DRAWN[name](run)
    except UnlearnError as error:
        st.error(md(str(error)))
    result.links(run)


_DRAWN = {
    "Protocol": result.protocol,
    "Clients’ scores": scores.draw,
    "Averaging": result.averaging,
    "Privacy": result.privacy,
    "Events": result.events,
}

frame.show(page)
