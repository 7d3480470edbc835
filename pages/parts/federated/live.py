"""A federation as it goes: the protocol with live numbers, and who has trained in which round."""

from typing import Any

import streamlit as st

from pages.parts import charts
from pages.parts.opened import store
from unlearn_core.errors import UnlearnError
from unlearn_core.plots import federation
from unlearn_core.plots.protocol import protocol as diagram
from unlearn_core.results import federation as rounds
from unlearn_core.store.files import read_json
from unlearn_core.store.runs import RunRecord, events

CAPTION = (
    "Orange: at work · blue: done · grey, dashed: to come · a dot is a client, full once it has answered · "
    "bytes are of the content, both ways, without framing and encryption."
)
TRAINED = "Colour: the loss of a client’s last batch in the round · ╱ no usable answer · blank: not asked in this round."


def live(record: RunRecord) -> None:
    """The protocol and the rounds of a run that is at work, from what it has reported so far."""
    told = told_by(record)
    settings = record.request["settings"]
    heard = rounds.heard(told)
    plan = _plan(record) if any(e["metrics"].get("rung") == "pruned" for e in told) else None
    clients, count = int(settings["clients"]), int(settings["rounds"])
    rows = rounds.protocol(settings["action"], heard, clients, count, plan, ended=False)
    protocol(rows, clients, f"live protocol {record.id}")
    cells = rounds.cells(heard, [], clients, rounds.losses_of(told))
    if cells:
        participation(cells, f"live rounds {record.id}")


def protocol(rows: list[dict[str, Any]], clients: int, key: str) -> None:
    """The diagram of the protocol."""
    chart = diagram(rows, clients, charts.ink())
    st.altair_chart(charts.inked(chart), width="stretch", key=key)
    st.caption(CAPTION)


def participation(cells: list[dict[str, Any]], key: str) -> None:
    """Rounds by clients."""
    st.markdown("**Rounds and clients**")
    st.altair_chart(charts.inked(federation.participation(cells)), width="stretch", key=key)
    st.caption(TRAINED)


def told_by(record: RunRecord) -> list[dict[str, Any]]:
    """What a run has reported, oldest first: a resumed one goes on after the rounds of its earlier attempts."""
    return list(events(store().folder(record.id)))


def _plan(record: RunRecord) -> dict[str, Any] | None:
    try:
        return read_json(store().folder(record.id) / "plan.json")
    except UnlearnError:
        return None  # it is being written just now
