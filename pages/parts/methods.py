"""The unlearning methods as a form needs them; torch is imported only when somebody asks."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from unlearn_core.advice import PRESETS
from unlearn_core.params import Setting, settings_of

_FIRST = ("ratio", "scope", "where", "epochs", "lr")
_LABELS = {
    "ratio": "Pruning ratio",
    "scope": "Rank channels",
    "where": "Where",
    "direction": "Which scores go",
    "combine": "Several classes",
    "epochs": "Fine-tuning epochs",
    "lr": "Learning rate",
    "batch_size": "Batch size",
    "augment": "Augmentation",
    "tap": "Read activations",
    "images_per_class": "Images a class to score",
    "residual": "Residual channels",
    "cut": "Cut channels out where possible",
}
LABELS = {
    "tfidf_prune": "TF-IDF pruning",
    "fine_tune": "Fine-tuning",
    "retrain": "Retraining",
    "mask_logit": "Masked logit",
    "reset_row": "Reset classifier row",
    "random_prune": "Random channels",
    "untouched": "Untouched model",
}
"""Short names of methods and controls for charts, known without torch."""
_RECOMMENDED = next(iter(PRESETS))


@dataclass(frozen=True)
class MethodFacts:
    """A method without its function: what the form shows."""

    name: str
    label: str
    about: str
    paper: str
    link: str
    control: bool
    settings: tuple[Setting, ...]


@st.cache_resource(show_spinner="Loading the methods …")
def facts() -> dict[str, MethodFacts]:
    """All methods by name, in their order."""
    from unlearn_core.unlearning import METHODS

    return {
        m.name: MethodFacts(m.name, m.label, m.about, m.paper, m.link, m.control, settings_of(m.params))
        for m in METHODS.values()
    }


def settings_form(method: MethodFacts) -> dict[str, Any]:
    """Draws the form that follows from a method's settings, and gives their values."""
    _preset(method)
    values = {}
    known = {s.name: s for s in method.settings}
    columns = st.columns(2)
    for i, name in enumerate(n for n in _FIRST if n in known):
        with columns[i % 2]:
            values[name] = _widget(method, known[name])
    rest = [s for s in method.settings if s.name not in _FIRST]
    if rest:
        with st.expander("All settings"):
            columns = st.columns(2)
            for i, setting in enumerate(rest):
                with columns[i % 2]:
                    values[setting.name] = _widget(method, setting)
    return {s.name: values[s.name] for s in method.settings}


def label(name: str) -> str:
    """What a setting is called on the form."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def _preset(method: MethodFacts) -> None:
    """Presets that this method knows all settings of; choosing one fills the form."""
    known = {s.name for s in method.settings}
    names = [name for name, values in PRESETS.items() if set(values) <= known]
    if len(names) < 2:
        return
    key = f"forget preset {method.name}"
    st.session_state[key] = _matching(method, names)
    st.pills(
        "Presets",
        names,
        key=key,
        wrap=True,
        on_change=_apply,
        args=(method, key),
        help="Recommended: ranked within each layer, cut in the last stage, gentle fine-tuning. Paper as released: one "
        "threshold over all layers and a high learning rate, as in the authors' code; kept to be compared with.",
    )


def _matching(method: MethodFacts, names: list[str]) -> str | None:
    """The preset that the form shows just now, if any."""
    shown = {s.name: st.session_state.get(_key(method, s.name), s.default) for s in method.settings}
    defaults = {s.name: s.default for s in method.settings}
    return next((n for n in names if {**defaults, **PRESETS[n]} == shown), None)


def _apply(method: MethodFacts, key: str) -> None:
    chosen = PRESETS.get(st.session_state[key] or _RECOMMENDED, {})
    for setting in method.settings:
        st.session_state[_key(method, setting.name)] = chosen.get(setting.name, setting.default)


def _widget(method: MethodFacts, setting: Setting) -> Any:
    key = _key(method, setting.name)
    st.session_state.setdefault(key, setting.default)
    given: dict[str, Any] = {"key": key, "help": _help(setting), "persist_state": "session"}
    if setting.kind is bool:
        return st.toggle(label(setting.name), **given)
    if setting.choices:
        return st.selectbox(
            label(setting.name), setting.choices, format_func=lambda c: c.replace("_", " "), **given
        )
    if setting.kind is str:
        return st.text_input(label(setting.name), **given)
    if setting.name == "ratio":
        return st.slider(label(setting.name), setting.low, setting.high, step=0.01, **given)
    whole = setting.kind is int
    return st.number_input(
        label(setting.name),
        min_value=setting.kind(setting.low) if setting.low is not None else None,
        max_value=setting.kind(setting.high) if setting.high is not None else None,
        step=1 if whole else 10**-3,
        format="%d" if whole else "%g",
        **given,
    )


def _help(setting: Setting) -> str:
    limits = (
        f" Between {setting.low:g} and {setting.high:g}." if None not in (setting.low, setting.high) else ""
    )
    return f"{setting.help}.{limits} Default: {setting.default}. On the command line: --{setting.name.replace('_', '-')}"


def _key(method: MethodFacts, name: str) -> str:
    return f"forget {method.name} {name}"
