"""The form of the Forget page: what to forget, how, beside which controls, where."""

from typing import Any

import streamlit as st

from pages.parts import methods, selection
from pages.parts.run_words import forgotten
from pages.parts.text import md
from unlearn_core.advice import warnings

CONTROLS = {
    "mask_logit": (
        "Mask the logit",
        "Switches only the class's output off. What forgets no better inside has hidden, not forgotten.",
    ),
    "random_prune": (
        "Random channels",
        "Prunes as many channels, drawn at random: says what the scores are worth.",
    ),
    "fine_tune": (
        "Fine-tuning alone",
        "The same fine-tuning without pruning: says what the pruning is worth.",
    ),
    "retrain": (
        "Retrain",
        "From scratch, the reference for all: a new model that never saw the class. Slow.",
    ),
}
_MOST_PILLS = 20


def draw(chosen: selection.Selection) -> tuple[dict[str, Any], str, str]:
    """Draws the form; the request that it stands for, the device and the run's name."""
    known = methods.facts()
    st.subheader("What to forget")
    fraction = _what(chosen)
    st.subheader("How")
    offered = [m for m in known.values() if not m.control]
    st.session_state.setdefault("forget method", offered[0].name)
    method = known[
        st.selectbox(
            "Method",
            [m.name for m in offered],
            format_func=lambda n: known[n].label,
            key="forget method",
            persist_state="session",
        )
    ]
    paper = f" [{md(method.paper)}]({method.link})" if method.link else ""
    st.caption(f"{md(method.about)}{paper}")
    params = methods.settings_form(method)
    for text in warnings(params, chosen.forget, len(selection.classes())):
        st.warning(md(text))
    controls = _controls(method.name, fraction)
    columns = st.columns(3)
    device = columns[0].selectbox(
        "Device", _devices(), key="forget device", help="Runs on one device wait for each other."
    )
    seed = columns[1].number_input(
        "Seed", 0, 2**31 - 1, key="forget seed", persist_state="session", help="Of every random draw."
    )
    name = columns[2].text_input(
        "Name", key="forget name", max_chars=200, placeholder="optional", persist_state="session"
    )
    settings = {
        "model": chosen.model,
        "data": chosen.data,
        "forget": "" if fraction else _names(chosen.forget),
        "fraction": fraction,
        "method": method.name,
        "controls": ",".join(controls) or "none",
        "seed": int(seed),
        "device": device,
    }
    request = {"settings": settings, "params": params}
    what = forgotten(request).replace(",", ", ")
    return request, device, name or f"Forget {what} · {method.label}"


def _what(chosen: selection.Selection) -> float:
    """Classes or a random share; the share, 0 for classes."""
    names = selection.classes()
    kind = st.segmented_control(
        "What",
        ["Classes", "Random share"],
        default="Classes",
        key="forget what",
        label_visibility="collapsed",
        required=True,
    )
    if kind == "Random share":
        help_text = "A random share of the training images. TF-IDF pruning forgets whole classes only."
        return st.slider(
            "Share of the training images", 0.01, 0.5, 0.1, 0.01, key="forget share", help=help_text
        )
    key = "forget classes"
    if st.session_state.get(key) != list(chosen.forget):
        st.session_state[key] = list(chosen.forget)
    given = {
        "options": names,
        "key": key,
        "format_func": lambda c: f"✕ {c}" if c in chosen.forget else c,
        "on_change": lambda: selection.choose(forget=tuple(st.session_state[key])),
        "help": "The same basket as in the sidebar: one class or several.",
    }
    if len(names) > _MOST_PILLS:
        st.multiselect("Classes", **given, placeholder="Pick classes")
    else:
        st.pills("Classes", **given, selection_mode="multi", wrap=True)
    return 0.0


def _controls(method: str, fraction: float) -> list[str]:
    """Which controls run beside it."""
    st.markdown("**Controls beside it**")
    columns = st.columns(2)
    picked = []
    for i, (name, (label, about)) in enumerate(CONTROLS.items()):
        key = f"forget control {name}"
        st.session_state.setdefault(key, name != "retrain")
        pointless = name == method or (bool(fraction) and name in {"mask_logit", "random_prune"})
        on = columns[i % 2].checkbox(label, key=key, help=about, disabled=pointless, persist_state="session")
        if on and not pointless:
            picked.append(name)
    return picked


def _names(classes: tuple[str, ...]) -> str:
    """Classes as the command line takes them: by name, or by index where a name holds a comma."""
    order = selection.classes()
    return ",".join(str(order.index(c)) if "," in c else c for c in classes)


@st.cache_resource(show_spinner=False)
def _devices() -> list[str]:
    """The devices of this machine, the fastest first."""
    import torch

    cards = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return [*cards, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]
