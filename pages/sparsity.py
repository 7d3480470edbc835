"""Sparsity: what a sparse model changes about forgetting, the schedules of l1-sparse, and making a model sparse."""

from collections.abc import Sequence

import streamlit as st

from pages.parts import frame, origins, selection
from pages.parts.sparsity import bound, form, l1, queue, sweep, trials
from pages.parts.text import md
from unlearn_core.experiments.sweep import Family, Series, finding, nearest, places, series_of

_USUAL = 0.95
_TABS = ("What sparsity does", "l1-sparse", "Gradient ascent and its bound", "Make a model sparse")


def page() -> None:
    """The whole page."""
    chosen = selection.current()
    if not chosen.model:
        frame.head("Sparsity")
        frame.no_model()
        return
    every = trials.all_families()
    top = st.empty()
    family = _family(every, chosen)
    with top.container():
        frame.head("Sparsity", _finding(family), _about(family))
    for problem in trials.damaged():
        st.warning(md(problem))
    view = st.segmented_control(
        "View", _TABS, default=_TABS[0], required=True, key="sparsity view", label_visibility="collapsed"
    )
    if view == _TABS[3]:
        form.draw(chosen)
    elif view == _TABS[2]:
        bound.draw(trials.stored())
    elif family is None:
        _nothing(chosen)
    elif view == _TABS[1]:
        l1.draw(family)
        _origin(family)
    else:
        sweep.draw(family)
        _origin(family)
        queue.draw(family, chosen)


def _family(every: Sequence[Family], chosen: selection.Selection) -> Family | None:
    """Whose figures are shown: of the selected model and basket at first, where there are any."""
    if not every:
        return None
    mine = [f for f in every if trials.is_of(f, chosen)]
    own = next((f for f in mine if f.classes == chosen.forget and chosen.forget), None)
    usual = own or (mine or every)[0]
    keys = [f.key for f in every]
    if st.session_state.get("sparsity for") != (chosen.model, chosen.forget):
        st.session_state["sparsity for"] = (chosen.model, chosen.forget)
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
    place = nearest(places(family), _USUAL)
    if place is None:
        return f"{family.label}: measured on the dense model only; queue the sparse ones below."
    for method, label in (("fine_tune", "fine-tuning"), ("gradient_ascent", "gradient ascent")):
        told = finding(family, label, series, place) if (series := _usual(family, method)) else ""
        if told:
            return told
    return f"{family.label}: no method was measured on the dense and the sparse model, each beside its own retraining."


def _usual(family: Family, method: str) -> Series | None:
    """The series of a method that was measured most."""
    return next((s for s in series_of(family) if s.method == method and s.usual), None)


def _about(family: Family | None) -> str:
    if family is None:
        return ""
    seeds = len({t.seed for t in family.trials})
    sources = {t.source for t in family.trials}
    kept = sorted(sources & {s.name for s in trials.stored()})
    own = len(sources) - len(kept)
    told = [*(f"stored study {name}" for name in kept), *([f"{own} of your own runs"] if own else [])]
    sparse = _many(sum(bool(sparsity) for sparsity, _ in places(family)), "sparsity", "sparsities")
    told = [*told, f"up to {_many(seeds, 'seed', 'seeds')}"]
    return f"{sparse} beside the dense model · {' · '.join(told)}"


def _origin(family: Family) -> None:
    """The commands that repeat the stored studies behind the figures."""
    sources = {t.source for t in family.trials}
    stored = [s for s in trials.stored() if s.name in sources]
    if stored:
        with st.expander("Where these numbers come from"):
            origins.draw(stored)


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _nothing(chosen: selection.Selection) -> None:
    st.info("There is no stored study here and no finished run of yours: nothing to draw yet.")
    queue.draw(None, chosen)


frame.show(page)
