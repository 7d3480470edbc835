"""The Start button of the Forget page: one set of runs for however many clicks."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.parts.forget import grid
from pages.parts.forget.form import Asked
from pages.parts.opened import store
from pages.parts.text import md
from pages.parts.tokens import hashed, nonce_of, renew
from unlearn_core.errors import UnlearnError
from unlearn_core.running import jobs
from unlearn_core.running.grid import MOST, group_id
from unlearn_core.store.runs import RunRecord, RunStore

_NONCE = "forget nonce"
_REFUSED = "forget refused"

Request = Mapping[str, Any]


def button(asked: Asked) -> None:
    """Draws Start; while the runs that it started are unfinished, it can't start them again."""
    requests, tokens = _once(asked)
    started = bool(tokens) and not asked.problem and len(_records(tokens)) == len(tokens)
    many = f"{len(tokens)} runs" if len(tokens) > 1 else ""
    st.button(
        f"Started {many}".strip() if started else f"Start {many}".strip(),
        type="primary",
        disabled=bool(asked.problem) or started,
        on_click=_submit,
        args=(requests, tokens, asked.device, _names(asked)),
        key="forget start",
        width="stretch",
    )
    if asked.problem:
        st.caption(md(asked.problem))
    if st.session_state.get(_REFUSED):
        st.error(md(st.session_state.pop(_REFUSED)))


def _submit(requests: Sequence[Request], tokens: Sequence[str], device: str, names: Sequence[str]) -> None:
    into: RunStore = store()
    try:
        for request, token, name in zip(requests, tokens, names, strict=True):
            jobs.submit(into, "unlearn", request, token, device, name)
    except UnlearnError as error:
        st.session_state[_REFUSED] = str(error)


def _once(asked: Asked) -> tuple[list[Request], list[str]]:
    """The requests with their tokens: the same for the same form until all of its runs have ended."""
    requests, tokens = _of_set(asked, nonce_of(_NONCE))
    found = _records(tokens)
    if tokens and len(found) == len(tokens) and all(r.state.final for r in found):
        renew(_NONCE)
        requests, tokens = _of_set(asked, nonce_of(_NONCE))
    return requests, tokens


def _of_set(asked: Asked, nonce: str) -> tuple[list[Request], list[str]]:
    requests: list[Request] = [p.request for p in asked.plans]
    if len(requests) > 1:
        group = group_id(nonce, requests, asked.device)
        requests = [{**r, "settings": {**r["settings"], "group": group}} for r in requests]
    return requests, [hashed(nonce, r, asked.device) for r in requests]


def _records(tokens: Sequence[str]) -> list[RunRecord]:
    wanted = set(tokens)
    return [r for r in store().list("unlearn", 5 * MOST) if r.token in wanted]


def _names(asked: Asked) -> list[str]:
    if len(asked.plans) < 2:
        return [asked.name]
    method = asked.request["settings"]["method"]
    return [
        f"{asked.name} · {grid.words(p, method)} ({i + 1} of {len(asked.plans)})"[:200]
        for i, p in enumerate(asked.plans)
    ]
