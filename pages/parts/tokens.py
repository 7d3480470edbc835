"""Tokens by which a run is started once, however often its button is pressed."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.parts.opened import store


def token_of(kind: str, request: Mapping[str, Any], device: str, key: str) -> str:
    """The same for the same form until its run has ended.

    Args:
        kind: Of the run.
        request: What the form stands for.
        device: Where it would run.
        key: Of the form, in the session.
    """
    token = hashed(nonce_of(key), request, device)
    if any(r.token == token and r.state.final for r in store().list(kind, 50)):
        renew(key)
    return hashed(nonce_of(key), request, device)


def nonce_of(key: str) -> str:
    """What makes a form's tokens its own, made when the form is first drawn."""
    nonce: str = st.session_state.setdefault(key, secrets.token_hex(16))
    return nonce


def renew(key: str) -> None:
    """From now on the same form stands for another run."""
    st.session_state[key] = secrets.token_hex(16)


def hashed(nonce: str, request: Mapping[str, Any], device: str) -> str:
    """The token of a request under a nonce."""
    return hashlib.sha256(json.dumps([nonce, request, device], sort_keys=True).encode()).hexdigest()
