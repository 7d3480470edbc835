"""Sparsity: what a sparse model changes about forgetting, the schedules of l1-sparse, and making a model sparse."""

from collections.abc import Mapping, Sequence

import streamlit as st

from pages.parts import frame, selection
from pages.parts.measured import left_out, measured, origin
from pages.parts.sparsity import bound, families, form, l1, queue, sweep
from unlearn_core.experiments.families import Family, Series, levels, series_of
from unlearn_core.experiments.study import Study
from unlearn_core.experiments.sweep import effect, nearest
from unlearn_core.experiments.trial import STORED

_USUAL = 0.95
_TABS = ("What sparsity does", "l1-sparse", "Gradient ascent and its bound", "Make a model sparse")


def page() -> None:
    """The whole page."""
    selected = selection.current()
    if not selected.model:
        frame.head("Sparsity")
        frame.no_model()
        return
    every = measured()
    top = st.empty()
    family = _family(families.of_measured(every.trials, selected), selected)
    with top.container():
        frame.head("Sparsity", _finding(family), _about(family, every.studies))
    view = st.segmented_control(
        "View", _TABS, default=_TABS[0], required=True, key="sparsity view", label_visibility="collapsed"
    )
    if view == _TABS[3]:
        form.draw(selected)
    elif view == _TABS[2]:
        bound.draw(list(every.studies.values()))
    elif family is None:
        _nothing(selected)
    else:
        _figures(view, family, selected, every.studies)
    left_out(every.damaged)


def _figures(view: str, family: Family, selected: selection.Selection, studies: Mapping[str, Study]) -> None:
    """What was measured on one model: the courses of l1-sparse, or the sweep with what is still missing of it."""
    if view == _TABS[1]:
        l1.draw(family)
        origin(family.trials, studies)
        return
    sweep.draw(family)
    origin(family.trials, studies)
    queue.draw(family, selected)


def _family(every: Sequence[Family], selected: selection.Selection) -> Family | None:
    """Whose figures are shown: of the selected model and basket at first, where there are any."""
    if not every:
        return None
    mine = [f for f in every if families.is_of(f, selected)]
    own = next((f for f in mine if f.classes == selected.forget and selected.forget), None)
    usual = own or (mine or every)[0]
    keys = [f.key for f in every]
    if st.session_state.get("sparsity for") != (selected.model, selected.forget):
        st.session_state["sparsity for"] = (selected.model, selected.forget)
        st.session_state["sparsity family"] = usual.key
    if st.session_state.get("sparsity family") not in keys:
        st.session_state["sparsity family"] = usual.key
    by_key = {f.key: f for f in every}
    picked = st.selectbox(
        "Model and what is forgotten",
        keys,
        format_func=lambda k: by_key[k].label,
        key="sparsity family",
        help="From the stored studies and your own finished runs.",
    )
    return by_key[picked]


def _finding(family: Family | None) -> str:
    if family is None:
        return "Nothing has been measured on a sparse model yet: make one sparse, or queue a sweep."
    level = nearest(levels(family), _USUAL)
    if level is None:
        return f"{family.label}: measured on the dense model only; queue the sparse ones below."
    for method, label in (("fine_tune", "fine-tuning"), ("gradient_ascent", "gradient ascent")):
        series = _usual(family, method)
        sentence = effect(family, label, series, level) if series else ""
        if sentence:
            return sentence
    return f"{family.label}: no method was measured on the dense and the sparse model, each beside its own retraining."


def _usual(family: Family, method: str) -> Series | None:
    """The series of a method that was measured most."""
    return next((s for s in series_of(family) if s.method == method and s.usual), None)


def _about(family: Family | None, studies: Mapping[str, Study]) -> str:
    if family is None:
        return ""
    seeds = len({t.seed for t in family.trials})
    sources = {t.source for t in family.trials}
    stored = sorted(sources & studies.keys())
    own = len({t.source for t in family.trials if not t.stored})
    parts = [*(f"stored study {name}" for name in stored), *([f"{own} of your own runs"] if own else [])]
    parts += ["the run that came with the app"] if STORED in sources else []
    sparse = _many(sum(bool(level.sparsity) for level in levels(family)), "sparsity", "sparsities")
    parts = [*parts, f"up to {_many(seeds, 'seed', 'seeds')}"]
    return f"{sparse} beside the dense model · {' · '.join(parts)}"


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _nothing(selected: selection.Selection) -> None:
    st.info("There is no stored study here and no finished run of yours: nothing to draw yet.")
    queue.draw(None, selected)


frame.show(page)
