"""The button that starts runs: each once, however often it is pressed, and again when all of them have ended."""

import secrets
from collections.abc import Callable, Sequence
from typing import Literal

import streamlit as st

from pages.parts.opened import store
from pages.parts.text import md
from unlearn_core.errors import UnlearnError
from unlearn_core.running.orders import Order, place, placed

Form = Callable[[str], Sequence[Order]]
"""The orders of a form, given the nonce that sets apart one start of the same form from the next."""


def button(
    label: str,
    form: Form,
    key: str,
    *,
    started: str = "Started",
    refused: str = "",
    kind: Literal["primary", "secondary"] = "primary",
    width: Literal["stretch", "content"] = "stretch",
    after: Callable[[], None] = lambda: None,
) -> None:
    """Draws the button, and under it why the last press started nothing.

    Args:
        label: On the button.
        form: What it starts; none where the form stands for nothing.
        key: Of the button in the session.
        started: On the button while its runs wait or work.
        refused: Why the form can't be started; empty where it can.
        kind: How it looks.
        width: As wide as its place, or as its label.
        after: Called when all runs have been started.
    """
    orders, nonce = _orders(form, key)
    done = bool(orders) and not refused and len(placed(store(), orders, nonce)) == len(orders)
    st.button(
        started if done else label,
        type=kind,
        key=key,
        disabled=bool(refused) or done,
        on_click=_place,
        args=(orders, nonce, key, after),
        width=width,
        help=refused or None,
    )
    if refusal := st.session_state.pop(_refusal(key), ""):
        st.error(md(refusal))


def renew(key: str) -> None:
    """From now on the same form stands for other runs."""
    st.session_state[_nonce(key)] = secrets.token_hex(16)


def _orders(form: Form, key: str) -> tuple[Sequence[Order], str]:
    """The orders with their nonce: the same for the same form until all of its runs have ended."""
    if _nonce(key) not in st.session_state:
        renew(key)
    orders = form(st.session_state[_nonce(key)])
    runs = placed(store(), orders, st.session_state[_nonce(key)])
    if orders and len(runs) == len(orders) and all(run.state.final for run in runs):
        renew(key)
        orders = form(st.session_state[_nonce(key)])
    return orders, st.session_state[_nonce(key)]


def _place(orders: Sequence[Order], nonce: str, key: str, after: Callable[[], None]) -> None:
    try:
        place(store(), orders, nonce)
    except UnlearnError as error:
        st.session_state[_refusal(key)] = str(error)
    else:
        after()


def _nonce(key: str) -> str:
    return f"{key} nonce"


def _refusal(key: str) -> str:
    return f"{key} refused"
