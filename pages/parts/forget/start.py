"""The Start button of the Forget page: one run, or a set of them."""

from functools import partial

import streamlit as st

from pages.parts import start
from pages.parts.forget import grid
from pages.parts.forget.form import Draft
from pages.parts.text import md
from unlearn_core.running.grid import group_id
from unlearn_core.running.orders import Order


def button(draft: Draft) -> None:
    """Draws Start; while the runs that it started are unfinished, it can't start them again."""
    many = f" {len(draft.plans)} runs" if len(draft.plans) > 1 else ""
    start.button(
        f"Start{many}",
        partial(_orders, draft),
        "forget start",
        started=f"Started{many}",
        refused=draft.problem,
    )
    if draft.problem:
        st.caption(md(draft.problem))


def _orders(draft: Draft, nonce: str) -> list[Order]:
    requests = [plan.request for plan in draft.plans]
    if len(requests) > 1:
        group = group_id(nonce, requests, draft.device)
        requests = [{**r, "settings": {**r["settings"], "group": group}} for r in requests]
    return [
        Order("unlearn", request, draft.device, name)
        for request, name in zip(requests, _names(draft), strict=True)
    ]


def _names(draft: Draft) -> list[str]:
    if len(draft.plans) < 2:
        return [draft.name] * len(draft.plans)
    method = draft.request["settings"]["method"]
    return [
        f"{draft.name} · {grid.words(plan, method)} ({i + 1} of {len(draft.plans)})"[:200]
        for i, plan in enumerate(draft.plans)
    ]
