"""The form of the Forget page: what to forget, how, beside which controls, where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from pages.parts import methods, models, selection
from pages.parts.forget import grid
from pages.parts.text import md
from unlearn_core.checkpoints.catalog import scratch_recipe
from unlearn_core.params import Setting, settings_of
from unlearn_core.running.grid import Planned
from unlearn_core.running.words import forgotten
from unlearn_core.unlearning.advice import warnings
from unlearn_core.unlearning.beside import controls_beside
from unlearn_core.unlearning.method import Method
from unlearn_core.unlearning.provenance import how_chosen, sentence_of
from unlearn_core.unlearning.registry import REFERENCE
from unlearn_core.words import percent

_MOST_PILLS = 20


@dataclass(frozen=True)
class Draft:
    """What the form stands for.

    Attributes:
        request: Without what is varied.
        plans: The runs that Start would queue; one where nothing is varied.
        device: Where.
        name: Of the run, or of all runs of the set.
        problem: Why nothing can start, as a sentence; empty where it can.
    """

    request: dict[str, Any]
    plans: list[Planned]
    device: str
    name: str
    problem: str


def draw(selected: selection.Selection) -> Draft:
    """Draws the form; what it asks for."""
    st.subheader("What to forget")
    fraction, share_seed = _what(selected)
    st.subheader("How")
    method = _method(fraction)
    options = _with_recipe(method, selected.model)
    params = methods.settings_form(method.name, options, method.presets, method.presets_help)
    _notes(selected, method, options, params)
    controls = _controls(method, fraction)
    device, seed, name = _where()
    settings = {
        "model": selected.model,
        "data": selected.data,
        "forget": "" if fraction else names_of(selected.forget),
        "fraction": fraction,
        "method": method.name,
        "controls": ",".join(controls) or "none",
        "share_seed": share_seed,
        "seed": seed,
        "device": device,
    }
    request = {"settings": settings, "params": params}
    plans, problem = grid.draw(method.name, options, request)
    if not fraction and not selected.forget:
        problem = "Nothing is in the basket yet: pick a class to forget, or a random share."
    what = forgotten(request).replace(",", ", ")
    return Draft(request, plans, device, name or f"Forget {what} · {method.label}", problem)


def _method(fraction: float) -> Method:
    """Which method, with what it is and where it comes from."""
    known = {m.name: m for m in methods.offered(fraction)}
    if st.session_state.get("forget method") not in known:
        st.session_state["forget method"] = next(iter(known))
    method = known[
        st.selectbox(
            "Method",
            list(known),
            format_func=lambda n: f"{known[n].label} — {known[n].family.lower()}",
            key="forget method",
            persist_state="session",
            help="All of these forget whole classes; under a random share the list is shorter.",
        )
    ]
    paper = f" [{md(method.paper)}]({method.link})" if method.link else ""
    st.caption(f"{md(method.about)}{paper}")
    return method


def _with_recipe(method: Method, model: str) -> tuple[Setting, ...]:
    """The method's settings; retraining begins with the model's own recipe, where its card records one."""
    settings = settings_of(method.params)
    if method.name != REFERENCE:
        return settings
    recipe = scratch_recipe(models.card_of(model).get("facts", {}))
    if st.session_state.get("forget recipe of") != model:
        st.session_state["forget recipe of"] = model
        for s in settings:
            st.session_state.pop(methods.key_of(method.name, s.name), None)
    return tuple(replace(s, default=recipe.get(s.name, s.default)) for s in settings)


def _notes(
    selected: selection.Selection, method: Method, options: Sequence[Setting], params: Mapping[str, Any]
) -> None:
    """How the settings came about, what to be warned of, and what a sparse model means here."""
    defaults = {s.name: s.default for s in options}
    st.caption(md(sentence_of(how_chosen(method.published, params, defaults, tuned=False))))
    for text in warnings(method, params, selected.forget, len(selection.classes())):
        st.warning(md(text))
    sparse = models.card_of(selected.model).get("facts", {}).get("sparsity", {})
    if sparse.get("measured"):
        st.info(
            md(
                f"This model is sparse: {percent(sparse['measured'])} of its convolutions' weights are gone "
                f"({sparse.get('method', 'pruned')}). Its mask stays enforced: after every step the weights that are gone "
                "are zero again, with retraining and every control too."
            )
        )


def _where() -> tuple[str, int, str]:
    """Device, seed and name."""
    columns = st.columns(3)
    device = columns[0].selectbox(
        "Device", devices(), key="forget device", help="Runs on one device wait for each other."
    )
    seed = columns[1].number_input(
        "Seed",
        0,
        2**31 - 1,
        key="forget seed",
        persist_state="session",
        help="Of training, and of every other random draw.",
    )
    name = columns[2].text_input(
        "Name", key="forget name", max_chars=150, placeholder="optional", persist_state="session"
    )
    return device, int(seed), name


def _what(selected: selection.Selection) -> tuple[float, int]:
    """Classes or a random share; the share, 0 for classes, and which draw of it."""
    kind = st.segmented_control(
        "What",
        ["Classes", "Random share"],
        default="Classes",
        key="forget what",
        label_visibility="collapsed",
        required=True,
    )
    if kind == "Random share":
        st.session_state.setdefault("forget share", 10)
        left, right = st.columns([3, 1], gap="medium")
        percent = left.slider(
            "Share of the training images",
            1,
            90,
            step=1,
            format="%d %%",
            key="forget share",
            help="Drawn at random from all classes. The run keeps which images they are, with a hash.",
        )
        draw_number = right.number_input(
            "Draw",
            0,
            2**31 - 1,
            key="forget draw",
            persist_state="session",
            help="Another number draws other images. Runs of several seeds forget the same ones, so that retraining "
            "can be compared with retraining.",
        )
        return percent / 100, int(draw_number)
    basket(selected, "forget classes", "Classes")
    return 0.0, 0


def basket(selected: selection.Selection, key: str, label: str) -> None:
    """The classes to forget, as pills, or as a list where there are many; `key` is the widget's own."""
    if st.session_state.get(key) != list(selected.forget):
        st.session_state[key] = list(selected.forget)
    names = selection.classes()

    def mark(name: str) -> str:
        return f"✕ {name}" if name in selected.forget else name

    given: dict[str, Any] = {
        "options": names,
        "key": key,
        "on_change": lambda: selection.choose(forget=tuple(st.session_state[key])),
        "help": "The same basket as in the sidebar: one class or several.",
    }
    if len(names) > _MOST_PILLS:
        st.multiselect(label, **given, format_func=mark, placeholder="Pick classes")
    else:  # the labels of pills are markdown, those of a list are plain
        st.pills(label, **given, format_func=lambda c: md(mark(c)), selection_mode="multi", wrap=True)


def _controls(method: Method, fraction: float) -> list[str]:
    """Which controls run beside it."""
    st.markdown("**Controls beside it**")
    able = [
        c for c in controls_beside(method) if c.name != method.name and not (fraction and c.whole_classes)
    ]
    columns = st.columns(2)
    ticked = [c.name for i, c in enumerate(able) if _control(columns[i % 2], c)]
    if fraction:
        st.caption(
            "What became of a random share only retraining can tell: a model that never saw these images still "
            "recognises most of them. Tick Retrain to have that reference beside the result."
        )
    return ticked


def _control(place: Any, control: Method) -> bool:
    """Draws a control's box; whether it is ticked."""
    assert control.beside
    key = f"forget control {control.name}"
    st.session_state.setdefault(key, control.beside.usual)
    return bool(
        place.checkbox(control.beside.label, key=key, help=control.beside.about, persist_state="session")
    )


def names_of(classes: tuple[str, ...]) -> str:
    """Classes as the command line takes them: by name, or by index where a name holds a comma."""
    order = selection.classes()
    return ",".join(str(order.index(c)) if "," in c else c for c in classes)


@st.cache_resource(show_spinner=False)
def devices() -> list[str]:
    """The devices of this machine, the fastest first."""
    from unlearn_core.models import inference

    return inference.devices()
