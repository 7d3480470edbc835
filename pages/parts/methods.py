"""The unlearning methods as a form needs them; torch is imported only when somebody asks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from unlearn_core.params import Setting, settings_of
from unlearn_core.unlearning.advice import PRESETS

_FIRST = ("ratio", "scope", "where", "epochs", "lr")
# What belongs to training in general, or seldom matters, waits behind "All settings"; a method's own settings don't.
_BEHIND = frozenset(
    (
        *(
            "batch_size",
            "momentum",
            "weight_decay",
            "schedule",
            "augment",
            "precision",
            "optimizer",
            "memory",
        ),
        *(
            "forget_batch_size",
            "direction",
            "combine",
            "tap",
            "images_per_class",
            "tune_images",
            "residual",
            "cut",
        ),
    )
)
_LABELS = {
    "ratio": "Pruning ratio",
    "scope": "Rank channels",
    "where": "Where",
    "direction": "Which scores go",
    "combine": "Several classes",
    "epochs": "Epochs",
    "tfidf_prune.epochs": "Fine-tuning epochs",
    "lr": "Learning rate",
    "batch_size": "Batch size",
    "momentum": "Momentum",
    "weight_decay": "Weight decay",
    "schedule": "Course of the learning rate",
    "augment": "Augmentation",
    "precision": "Arithmetic",
    "freeze_bn": "Freeze batch-norm statistics",
    "tap": "Read activations",
    "images_per_class": "Images a class to score",
    "tune_images": "Images to fine-tune on",
    "residual": "Residual channels",
    "cut": "Cut channels out where possible",
    "solver": "Solver",
    "influence.alpha": "Length of the step, α",
    "damping": "Damping, λ",
    "samples": "Images that make the Fisher",
    "memory": "Memory for gradients, GiB",
    "fisher.alpha": "Scale of the noise, α",
    "class_reset": "Reset the classes' output rows",
    "l1_sparse.gamma": "Weight of the penalty, γ",
    "penalty": "Course of the penalty",
    "free_epochs": "Last epochs without penalty",
    "penalize": "What is penalised",
    "proximal": "Exact zeros (proximal steps)",
    "exclude_true": "Never draw the true class",
    "order": "Order of the two sets",
    "relabel": "Draw labels",
    "salient": "Share of weights that may move",
    "optimizer": "Optimiser",
    "max_epochs": "Epochs that leave the teacher",
    "forget_batch_size": "Batch size of the forget set",
    "scrub.gamma": "Weight of the cross-entropy, γ",
    "scrub.alpha": "Weight of the teacher, α",
    "temperature": "Temperature",
    "rewind": "Rewind (SCRUB+R)",
    "omp.rewind": "Train again from",
    "imp.rewind": "Train again from",
    "rewind_epoch": "Epoch of the early weights",
    "dense": "Dense model that is ranked",
    "rate": "Share that goes in each round",
    "rounds": "Rounds of pruning",
    "beta": "Weight of the retain set, β",
    "retain_share": "Share of the retain set mixed in",
    "bound": "How far pixels move",
    "uncrossed": "Images that cross no boundary",
}
LABELS = {
    "tfidf_prune": "TF-IDF pruning",
    "fine_tune": "Fine-tuning",
    "retrain": "Retraining",
    "gradient_ascent": "Gradient ascent",
    "influence": "Influence unlearning",
    "fisher": "Fisher forgetting",
    "l1_sparse": "l1-sparse",
    "random_label": "Random labels",
    "salun": "SalUn",
    "scrub": "SCRUB",
    "neggrad": "NegGrad+",
    "bad_teacher": "Bad Teacher",
    "boundary_shrink": "Boundary Shrink",
    "boundary_expand": "Boundary Expand",
    "mask_logit": "Masked logit",
    "reset_row": "Reset classifier row",
    "random_prune": "Random channels",
    "untouched": "Untouched model",
}
"""Short names of methods and controls for charts, known without torch."""
FAMILIES = {
    "Prunes channels": ("tfidf_prune",),
    "Compared in the sparsity paper": (
        "fine_tune",
        "gradient_ascent",
        "influence",
        "fisher",
        "l1_sparse",
    ),
    "Wrong labels": ("random_label", "salun", "boundary_shrink", "boundary_expand"),
    "Against the forget set": ("neggrad",),
    "Teacher and student": ("scrub", "bad_teacher"),
    "The reference": ("retrain",),
}
"""Methods in the order in which the form offers them, by what they do."""
# A new network has no statistics to keep, so that retraining refuses this.
_NOT_SHOWN = frozenset({("retrain", "freeze_bn")})
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
    whole_classes: bool = False


@st.cache_resource(show_spinner="Loading the methods …")
def facts() -> dict[str, MethodFacts]:
    """All methods by name, in their order."""
    from unlearn_core.unlearning.registry import METHODS

    return {
        m.name: MethodFacts(
            m.name, m.label, m.about, m.paper, m.link, m.control, settings_of(m.params), m.whole_classes
        )
        for m in METHODS.values()
    }


def settings_form(method: MethodFacts) -> dict[str, Any]:
    """Draws the form that follows from a method's settings, and gives their values."""
    _preset(method)
    values = {s.name: s.default for s in method.settings}
    shown = [s for s in method.settings if (method.name, s.name) not in _NOT_SHOWN]
    values |= _grid(method, sorted((s for s in shown if s.name not in _BEHIND), key=_place))
    behind = [s for s in shown if s.name in _BEHIND]
    if behind:
        with st.expander("All settings"):
            values |= _grid(method, behind)
    return values


def label(name: str, method: str = "") -> str:
    """What a setting is called on the form; of a method, where the same name means several things."""
    return _LABELS.get(f"{method}.{name}", _LABELS.get(name, name.replace("_", " ").capitalize()))


def offered(fraction: float) -> list[MethodFacts]:
    """The methods to choose from, in the order of their families; for a random share only those that can."""
    known = facts()
    order = [name for names in FAMILIES.values() for name in names]
    order += [name for name in known if name not in order]
    found = [known[name] for name in order if name in known and not known[name].control]
    return [m for m in found if not (fraction and m.whole_classes)]


def batch_norms(result: Mapping[str, Any]) -> str:
    """What a result says of batch norms' statistics, as a sentence; empty where it says nothing."""
    state = (result.get("facts") or {}).get("batch_norm_statistics")
    return f"Batch-norm statistics were {state}." if state else ""


def family(name: str) -> str:
    """What kind of method it is."""
    return next((kind for kind, names in FAMILIES.items() if name in names), "Others")


def _grid(method: MethodFacts, settings: Sequence[Setting]) -> dict[str, Any]:
    """Two beside each other; switches, whose names are longer, below each other."""
    values = {}
    pairs = [s for s in settings if s.kind is not bool]
    for start in range(0, len(pairs), 2):
        for column, setting in zip(st.columns(2), pairs[start : start + 2], strict=False):
            with column:
                values[setting.name] = _widget(method, setting)
    switches = {s.name: _widget(method, s) for s in settings if s.kind is bool}
    return {**values, **switches}


def _place(setting: Setting) -> tuple[int, bool, bool]:
    """First what is asked most, then numbers and choices, then switches; whether statistics are frozen last."""
    first = _FIRST.index(setting.name) if setting.name in _FIRST else len(_FIRST)
    return first, setting.kind is bool, setting.name == "freeze_bn"


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
    shown = {s.name: st.session_state.get(key_of(method, s.name), s.default) for s in method.settings}
    defaults = {s.name: s.default for s in method.settings}
    return next((n for n in names if {**defaults, **PRESETS[n]} == shown), None)


def _apply(method: MethodFacts, key: str) -> None:
    chosen = PRESETS.get(st.session_state[key] or _RECOMMENDED, {})
    for setting in method.settings:
        st.session_state[key_of(method, setting.name)] = chosen.get(setting.name, setting.default)


def _widget(method: MethodFacts, setting: Setting) -> Any:
    key, shown = key_of(method, setting.name), label(setting.name, method.name)
    st.session_state.setdefault(key, setting.default)
    given: dict[str, Any] = {"key": key, "help": _help(setting), "persist_state": "session"}
    if setting.kind is bool:
        return st.toggle(shown, **given)
    if setting.choices:
        return st.selectbox(shown, setting.choices, format_func=lambda c: c.replace("_", " "), **given)
    if setting.kind is str:
        return st.text_input(shown, **given)
    if setting.name == "ratio":
        return st.slider(shown, setting.low, setting.high, step=0.01, **given)
    whole = setting.kind is int
    return st.number_input(
        shown,
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


def key_of(method: MethodFacts, name: str) -> str:
    """The key of a setting's widget."""
    return f"forget {method.name} {name}"
