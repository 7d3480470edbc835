"""The Start button of the Forget page: one run, or a set of them."""

from functools import partial

import streamlit as st

from pages.parts import start
from pages.parts.forget import grid
from pages.parts.forget.form import Asked
from pages.parts.text import md
from unlearn_core.running.grid import group_id
from unlearn_core.running.orders import Order


def button(asked: Asked) -> None:
    """Draws Start; while the runs that it started are unfinished, it can't start them again."""
    many = f" {len(asked.plans)} runs" if len(asked.plans) > 1 else ""
    start.button(
        f"Start{many}",
        partial(_orders, asked),
        "forget start",
        started=f"Started{many}",
        refused=asked.problem,
    )
    if asked.problem:
        st.caption(md(asked.problem))


def _orders(asked: Asked, nonce: str) -> list[Order]:
    requests = [plan.request for plan in asked.plans]
    if len(requests) > 1:
        group = group_id(nonce, requests, asked.device)
        requests = [{**r, "settings": {**r["settings"], "group": group}} for r in requests]
    return [
        Order("unlearn", request, asked.device, name)
        for request, name in zip(requests, _names(asked), strict=True)
    ]


def _names(asked: Asked) -> list[str]:
    if len(asked.plans) < 2:
        return [asked.name] * len(asked.plans)
    method = asked.request["settings"]["method"]
    return [
        f"{asked.name} · {grid.words(plan, method)} ({i + 1} of {len(asked.plans)})"[:200]
        for i, plan in enumerate(asked.plans)
    ]
