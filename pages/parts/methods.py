"""The form that follows from settings, and what methods and their settings are called."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from unlearn_core.experiments.trial import FEDERATED
from unlearn_core.params import Setting, settings_of
from unlearn_core.results.result import Forgetting
from unlearn_core.unlearning.method import Family, Method
from unlearn_core.unlearning.registry import METHODS

Presets = Mapping[str, Mapping[str, Any]]

_FIRST = ("ratio", "scope", "where", "epochs", "lr")


def settings_form(
    form: str, settings: Sequence[Setting], presets: Presets | None = None, presets_help: str = ""
) -> dict[str, Any]:
    """Draws the form that follows from settings, and gives their values.

    Args:
        form: What the keys of its widgets begin with.
        settings: In the order in which the command line has them.
        presets: Settings by name, the first being the defaults.
        presets_help: What the presets are.
    """
    if presets:
        _preset(form, settings, presets, presets_help)
    visible = [s for s in settings if not s.hidden]
    values = {s.name: s.default for s in settings}
    values |= _grid(form, sorted((s for s in visible if not s.advanced), key=_place))
    advanced = [s for s in visible if s.advanced]
    if advanced:
        with st.expander("All settings"):
            values |= _grid(form, advanced)
    return values


def label(name: str, method: str) -> str:
    """What a setting of a method is called, also of a federated one, which has settings of its own."""
    known = METHODS.get(method.removeprefix(FEDERATED))
    labels = {s.name: s.label for s in settings_of(known.params)} if known else {}
    return labels.get(name, name.replace("_", " ").capitalize())


def offered(fraction: float) -> list[Method]:
    """The methods to choose from, in the order of their families; for a random share only those that can."""
    order = list(Family)
    proposals = [m for m in METHODS.values() if not m.control and not (fraction and m.whole_classes)]
    return sorted(proposals, key=lambda m: order.index(m.family))


def batch_norms(result: Forgetting) -> str:
    """What a result says of batch norms' statistics, as a sentence; empty where it says nothing."""
    state = result.facts.get("batch_norm_statistics")
    return f"Batch-norm statistics were {state}." if state else ""


def key_of(form: str, name: str) -> str:
    """The key of a setting's widget."""
    return f"forget {form} {name}"


def _grid(form: str, settings: Sequence[Setting]) -> dict[str, Any]:
    """Two beside each other; switches, whose names are longer, below each other."""
    values = {}
    pairs = [s for s in settings if s.kind is not bool]
    for start in range(0, len(pairs), 2):
        for column, setting in zip(st.columns(2), pairs[start : start + 2], strict=False):
            with column:
                values[setting.name] = _widget(form, setting)
    switches = {s.name: _widget(form, s) for s in settings if s.kind is bool}
    return {**values, **switches}


def _place(setting: Setting) -> tuple[int, bool, bool]:
    """First what is asked most, then numbers and choices, then switches; whether statistics are frozen last."""
    first = _FIRST.index(setting.name) if setting.name in _FIRST else len(_FIRST)
    return first, setting.kind is bool, setting.name == "freeze_bn"


def _preset(form: str, settings: Sequence[Setting], presets: Presets, about: str) -> None:
    """The presets; choosing one fills the form."""
    key = f"forget preset {form}"
    st.session_state[key] = _matching(form, settings, presets)
    st.pills(
        "Presets",
        list(presets),
        key=key,
        wrap=True,
        on_change=_apply,
        args=(form, settings, presets),
        help=about,
    )


def _matching(form: str, settings: Sequence[Setting], presets: Presets) -> str | None:
    """The preset that the form shows just now, if any."""
    defaults = {s.name: s.default for s in settings}
    values = {name: st.session_state.get(key_of(form, name), value) for name, value in defaults.items()}
    return next((name for name, preset in presets.items() if {**defaults, **preset} == values), None)


def _apply(form: str, settings: Sequence[Setting], presets: Presets) -> None:
    preset = presets.get(st.session_state[f"forget preset {form}"], {})
    for setting in settings:
        st.session_state[key_of(form, setting.name)] = preset.get(setting.name, setting.default)


def _widget(form: str, setting: Setting) -> Any:
    key = key_of(form, setting.name)
    st.session_state.setdefault(key, setting.default)
    given: dict[str, Any] = {"key": key, "help": _help(setting), "persist_state": "session"}
    if setting.kind is bool:
        return st.toggle(setting.label, **given)
    if setting.choices:
        return st.selectbox(
            setting.label, setting.choices, format_func=lambda c: c.replace("_", " "), **given
        )
    if setting.kind is str:
        return st.text_input(setting.label, **given)
    if setting.name == "ratio":
        return st.slider(setting.label, setting.low, setting.high, step=0.01, **given)
    whole = setting.kind is int
    return st.number_input(
        setting.label,
        min_value=setting.kind(setting.low) if setting.low is not None else None,
        max_value=setting.kind(setting.high) if setting.high is not None else None,
        step=1 if whole else _step(setting.default),
        format="%d" if whole else "%g",
        **given,
    )


def _step(default: float) -> float:
    """One click on plus: the power of ten of the default, so that 3e-8 is no harder to change than 1."""
    return 10.0 ** math.floor(math.log10(default)) if default else 1e-3


def _help(setting: Setting) -> str:
    limits = (
        f" Between {setting.low:g} and {setting.high:g}." if None not in (setting.low, setting.high) else ""
    )
    return f"{setting.help}.{limits} Default: {setting.default}. On the command line: --{setting.name.replace('_', '-')}"
