"""The form of the Federated page: what to do, with which clients, under which rules."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.parts import methods, selection
from pages.parts.forget.form import basket, devices, names_of
from pages.parts.text import md
from unlearn_core.params import Setting, settings_of
from unlearn_core.running.orders import Order

ACTIONS = {"unlearn": "Unlearn", "retrain": "Retrain without them", "train": "Train"}
_ABOUT = {
    "unlearn": "Clients report sums of channel activations, the server scores and prunes, then clients fine-tune.",
    "retrain": "A new model from clients that never use the classes: the reference for unlearning, and slower.",
    "train": "The selected model's clients train it further on all their images.",
}
KINDS = {
    "iid": "At random (iid)",
    "dirichlet": "Dirichlet",
    "shards": "Shards by class",
    "biased": "Main class each",
}
_NUMBERS: dict[str, tuple[str, str, float, float, float, float]] = {
    "dirichlet": ("Alpha", "The smaller, the more uneven the clients.", 0.001, 1e6, 0.5, 0.1),
    "shards": (
        "Shards a client",
        "Of images sorted by class: two leave a client two classes or so.",
        1,
        1000,
        2,
        1,
    ),
    "biased": ("Share of the main class", "Clients take turns at the classes.", 0.0, 1.0, 0.8, 0.05),
}
# What a teacher shows in under a minute: unlearning is done after a round or two, retraining is not.
ROUNDS = {"unlearn": 5, "retrain": 15, "train": 5}
_RULES = ("participation", "dropout", "quorum", "deadline", "aggregator", "weighting", "norm_bound")
_PRIVACY = ("k", "epsilon", "delta", "clip")
_MANY_PROCESSES = 8


@dataclass(frozen=True)
class Known:
    """The settings that a form needs, known without torch once they have been read.

    Attributes:
        request: Settings of the federation by name.
        params: Settings of each action's clients.
    """

    request: dict[str, Setting]
    params: dict[str, tuple[Setting, ...]]


@dataclass(frozen=True)
class Form:
    """What a form stands for.

    Attributes:
        order: The run that it asks for.
        start: Where the button that starts it belongs.
    """

    order: Order
    start: Any


@st.cache_resource(show_spinner="Loading the settings …")
def known() -> Known:
    """The settings of a federated run."""
    from unlearn_core.federated.request import PARAMS, FederatedRequest, client_settings

    params = {action: client_settings(action) for action in PARAMS}
    return Known({s.name: s for s in settings_of(FederatedRequest)}, params)


def draw(chosen: selection.Selection) -> Form:
    """Draws the form."""
    facts = known()
    action = st.segmented_control(
        "What to do", list(ACTIONS), format_func=ACTIONS.get, default="unlearn", key="federated action",
        required=True, persist_state="session",
    )  # fmt: skip
    st.caption(_ABOUT[action])
    if action != "train":
        _classes(chosen)
    left, right = st.columns(2)
    clients = left.number_input("Clients", 1, 10_000, 10, key="federated clients", persist_state="session")
    rounds = right.number_input(
        "Rounds", 0, 10_000, ROUNDS[action], key=f"federated rounds {action}", persist_state="session",
        help="In each, clients train on their own images and the server averages their weights.",
    )  # fmt: skip
    partition = _partition()
    settings: dict[str, Any] = {
        "action": action,
        "data": chosen.data,
        "model": chosen.model,
        "forget": "" if action == "train" else names_of(chosen.forget),
        "clients": int(clients),
        "partition": partition,
        "rounds": int(rounds),
    }
    settings |= _engine(facts, int(clients))
    start = st.container()
    with st.expander("Pruning and fine-tuning" if action == "unlearn" else "Training"):
        params = methods.settings_form(f"federated {action}", facts.params[action])
    with st.expander("Rules of the federation"):
        settings |= _widgets(facts, _RULES)
    if action == "unlearn":  # the others report no statistics
        settings |= _privacy(facts)
    with st.expander("Seed and device"):
        settings |= _machine()
    what = ", ".join(chosen.forget)
    told = {"unlearn": f"Forget {what}", "retrain": f"Retrain without {what}", "train": "Train"}[action]
    name = f"{told} · {clients} clients, {partition}"
    request = {"settings": settings, "params": params}
    return Form(Order("federated", request, settings["device"], name), start)


def _privacy(facts: Known) -> dict[str, Any]:
    with st.expander("Privacy of the statistics"):
        st.caption(
            "A class mean over one image is that image's signature. A floor keeps classes with few images unreported; "
            "noise makes a stated guarantee, at a price: see the tab Privacy of a finished run. Besides the statistics a "
            "client sends how many images it holds, how many of them it keeps, how many the final model classifies rightly, "
            "and its trained weights. Where images are few and no floor is given, k falls to 1."
        )
        asked = _widgets(facts, _PRIVACY)
        asked["secure"] = st.toggle(
            "Secure aggregation",
            key="federated secure",
            help=_help(facts.request["secure"]),
            persist_state="session",
        )
    return asked


def partition_shown() -> tuple[int, str, int]:
    """Clients, partition and seed as the form has them just now."""
    state = st.session_state
    return int(state.get("federated clients", 10)), _typed(), int(state.get("federated seed", 0))


def own_images() -> bool:
    """Whether the form asks for clients elsewhere, which hold images of their own."""
    return st.session_state.get("federated engine") == "flower" and bool(
        st.session_state.get("federated superlink")
    )


def _classes(chosen: selection.Selection) -> None:
    basket(chosen, "federated classes", "Classes to forget")


def _partition() -> str:
    left, right = st.columns(2)
    kind = left.selectbox(
        "How images are dealt", list(KINDS), index=1, format_func=KINDS.get, key="federated partition",
        persist_state="session", help="The training images are dealt once, before the run; the picture shows who gets what.",
    )  # fmt: skip
    if kind in _NUMBERS:
        label, about, low, high, default, step = _NUMBERS[kind]
        whole = kind == "shards"
        right.number_input(
            label,
            *(int(v) if whole else float(v) for v in (low, high, default, step)),
            format="%d" if whole else "%g",
            help=about,
            key=f"federated partition {kind}",
            persist_state="session",
        )
    return _typed()


def _typed() -> str:
    """The partition as the command line takes it."""
    kind = st.session_state.get("federated partition", "dirichlet")
    if kind not in _NUMBERS:
        return str(kind)
    number = st.session_state.get(f"federated partition {kind}", _NUMBERS[kind][4])
    return f"{kind}:{number:g}"


def _engine(facts: Known, clients: int) -> dict[str, Any]:
    left, right = st.columns(2)
    epochs = left.number_input(
        "Local epochs", 1, 1000, 1, key="federated local_epochs", persist_state="session",
        help=_help(facts.request["local_epochs"]),
    )  # fmt: skip
    engine = right.selectbox(
        "Engine", facts.request["engine"].choices, format_func=_ENGINES.get, key="federated engine",
        persist_state="session",
        help="One process: all clients take turns here, and the same seed gives the same numbers. Processes: Flower's "
        "superlink and a supernode for each client, over this machine's loopback.",
    )  # fmt: skip
    link = ""
    if engine == "flower":
        link = st.text_input(
            "SuperLink", key="federated superlink", placeholder="start all here", persist_state="session",
            help=_help(facts.request["superlink"]),
        ).strip()  # fmt: skip
    if engine == "flower" and not link and clients > _MANY_PROCESSES:
        st.warning(
            f"{clients} clients are {clients} processes with a PyTorch each: mind the memory of this machine."
        )
    return {"local_epochs": int(epochs), "engine": engine, "superlink": link}


def _machine() -> dict[str, Any]:
    left, right = st.columns(2)
    seed = left.number_input("Seed", 0, 2**31 - 1, 0, key="federated seed", persist_state="session")
    device = right.selectbox("Device", devices(), key="federated device", persist_state="session")
    return {"seed": int(seed), "device": device}


def _widgets(facts: Known, names: tuple[str, ...]) -> dict[str, Any]:
    columns = st.columns(2)
    return {name: _widget(columns[i % 2], facts.request[name]) for i, name in enumerate(names)}


def _widget(place: Any, setting: Setting) -> Any:
    key = f"federated {setting.name}"
    given: dict[str, Any] = {"key": key, "help": _help(setting), "persist_state": "session"}
    if setting.choices:
        return place.selectbox(
            setting.label, setting.choices, format_func=lambda c: _CHOICES.get(c, c), **given
        )
    whole = setting.kind is int
    limits = {
        "min_value": setting.kind(setting.low) if setting.low is not None else None,
        "max_value": setting.kind(setting.high) if setting.high is not None else None,
    }
    shape: dict[str, Any] = {"step": 1, "format": "%d"} if whole else {"step": 0.1, "format": "%g"}
    if setting.name == "delta":
        shape["step"] = 1e-6
    return place.number_input(setting.label, value=setting.default, **limits, **shape, **given)


def _help(setting: Setting) -> str:
    return f"{md(setting.help)}. Default: {setting.default}. On the command line: --{setting.name.replace('_', '-')}"


_ENGINES = {"local": "In one process", "flower": "Flower processes"}
_CHOICES = {
    "fedavg": "FedAvg: the mean",
    "trimmed_mean": "Trimmed mean, against liars",
    "counts": "By their images",
    "plain": "All alike (the paper)",
}
