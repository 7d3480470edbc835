"""The models to choose from and what their cards say, read without torch."""

from typing import Any

import streamlit as st

from unlearn_core.checkpoints import catalog
from unlearn_core.data.forgotten import Forgotten, forgotten_by
from unlearn_core.errors import UnlearnError
from unlearn_core.home import home
from unlearn_core.store.runs import RunStore
from unlearn_core.words import percent, trimmed_percent


def at_hand() -> dict[str, dict[str, Any]]:
    """The cards of bundled and imported models, by reference."""
    return catalog.models()


def exists(reference: str) -> bool:
    """Whether there is such a model."""
    return bool(card_of(reference))


def card_of(reference: str) -> dict[str, Any]:
    """A model's card as plain values; empty when there is no such model."""
    try:
        if reference.startswith("run:"):
            return _card_of_run(reference.removeprefix("run:"), str(home()))
        return dict(catalog.read_header(catalog.path_of(reference))["card"])
    except UnlearnError:
        return {}


def forgotten_of(reference: str) -> Forgotten:
    """What a model was made to forget, as its card says; nothing where the card can't be read."""
    try:
        return forgotten_by(card_of(reference).get("facts", {}))
    except UnlearnError:
        return Forgotten()


def classes_left(reference: str) -> tuple[str, ...]:
    """The classes that a model can still be asked to forget."""
    gone = forgotten_of(reference).classes
    return tuple(name for name in classes_of(reference) if name not in gone)


def classes_of(reference: str) -> tuple[str, ...]:
    """The classes of a model in the order of its outputs; empty when there is no such model."""
    return tuple(card_of(reference).get("classes", ()))


def label_of(reference: str) -> str:
    """A model's name with its accuracy, where the card records one."""
    card = card_of(reference)
    kind = reference.partition(":")[0]
    accuracy = card.get("facts", {}).get("accuracy")
    shown = f"{card.get('name', reference)}" + (
        f" · {percent(accuracy)}" if isinstance(accuracy, float) else ""
    )
    return shown if kind == "bundled" else f"{shown} ({_made(card) if kind == 'run' else 'yours'})"


def _made(card: dict[str, Any]) -> str:
    """What a run made of the model."""
    facts = card.get("facts", {})
    sparse = facts.get("sparsity", {}).get("measured")
    told = f"{trimmed_percent(sparse)} sparse" if sparse else ""
    return told if told and "unlearned_from" not in facts else ", ".join(filter(None, (told, "unlearned")))


@st.cache_resource(show_spinner=False, max_entries=64)
def _card_of_run(run_id: str, _home: str) -> dict[str, Any]:
    return dict(catalog.read_header(RunStore().artifact(run_id, "model.safetensors"))["card"])
