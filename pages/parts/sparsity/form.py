"""Making a model sparse: the form that follows from a sparsifier, its start, and what came of it."""

from dataclasses import replace

import streamlit as st

from pages.parts import estimate, live_run, methods, models, selection, start
from pages.parts.forget import form
from pages.parts.opened import store
from pages.parts.sparsity import result
from pages.parts.text import md
from unlearn_core.checkpoints.catalog import scratch_recipe
from unlearn_core.params import Setting, settings_of
from unlearn_core.running.orders import Order
from unlearn_core.running.words import title_of, when
from unlearn_core.sparsify.registry import SPARSIFIERS
from unlearn_core.sparsify.sparsifier import Sparsifier
from unlearn_core.store.runs import RunRecord, RunState
from unlearn_core.words import trimmed_percent

STRICT = (
    "A mask is chosen by looking at weights that all training images have shaped, those to forget among them: which weights "
    "stay remembers the forget set, and so does a model that is retrained under that mask. A strict mask is chosen by a "
    "dense model that never saw them. SynFlow and random masks see no image, so they have nothing to remember."
)


def draw(chosen: selection.Selection) -> None:
    """The form on the left; on the right the run that works, or what the newest one gave."""
    left, right = st.columns([5, 6], gap="large")
    with left:
        order, problem = _form(chosen)
        _start(order, problem)
        if not problem:
            st.caption(md(estimate.sentence(chosen, [order])))
        st.caption(
            "A sparse model goes through every method of the Forget page, TF-IDF pruning too: whole channels are cut out, "
            "and of the rest the mask keeps its weights at zero."
        )
        selection.link("pages/forget.py", "Plan channels to cut on the Forget page")
    with right:
        _runs(chosen)


def _form(chosen: selection.Selection) -> tuple[Order, str]:
    st.subheader("How")
    name = st.selectbox(
        "Sparsifier",
        list(SPARSIFIERS),
        format_func=lambda n: SPARSIFIERS[n].label,
        key="sparsify by",
        persist_state="session",
    )
    sparsifier = SPARSIFIERS[name]
    st.caption(f"{md(sparsifier.about)} [{md(sparsifier.paper)}]({sparsifier.link})")
    sparsity = st.slider(
        "Sparsity, share of the convolutions' weights to remove",
        0.05,
        0.99,
        0.95,
        0.01,
        key="sparsify to",
        persist_state="session",
        help="All layers are ranked together; classifier and batch norms stay whole. The paper's usual choice: 0.95.",
    )
    options = _with_recipe(sparsifier, chosen.model)
    values = methods.settings_form(name, options)
    defaults = {s.name: s.default for s in options}
    strict, fraction, share_seed, problem = _strict(chosen, sparsifier.sees_data)
    device, seed = _where()
    settings = {
        "model": chosen.model,
        "data": chosen.data,
        "sparsifier": name,
        "strict": strict,
        "forget": form.names_of(chosen.forget) if strict and not fraction else "",
        "fraction": fraction,
        "share_seed": share_seed,
        "seed": seed,
        "device": device,
    }
    # Only what differs from the model's own recipe: the rest is filled in from it, as on the command line.
    params = {"sparsity": sparsity, **{k: v for k, v in values.items() if v != defaults[k]}}
    told = f"{chosen.model.rpartition(':')[2]} at {trimmed_percent(sparsity)} · {name}{', strict' if strict else ''}"
    order = Order("sparsify", {"settings": settings, "params": params}, device, told)
    return order, problem or _refused(chosen)


def _with_recipe(sparsifier: Sparsifier, model: str) -> tuple[Setting, ...]:
    """The settings of the form; training begins with the model's own recipe, where its card records one."""
    recipe = scratch_recipe(models.card_of(model).get("facts", {}))
    options = [
        s for s in settings_of(sparsifier.params) if s.name != "sparsity"
    ]  # which has a slider of its own
    if st.session_state.get(f"sparsify recipe {sparsifier.name}") != model:
        st.session_state[f"sparsify recipe {sparsifier.name}"] = model
        for s in options:
            st.session_state.pop(methods.key_of(sparsifier.name, s.name), None)
    return tuple(replace(s, default=recipe.get(s.name, s.default)) for s in options)


def _strict(chosen: selection.Selection, sees: bool) -> tuple[bool, float, int, str]:
    """Whether the mask must not know the forget set; the random share that it must not know and its draw; what lacks."""
    st.markdown("**What the mask may remember**")
    strict = st.toggle(
        "Strict: choose the weights without the images to forget",
        key="sparsify strict",
        disabled=not sees,
        help=STRICT,
        persist_state="session",
    )
    st.caption(
        md(
            STRICT
            if sees
            else "This mask looks at no image, so it can't remember any: it is strict as it is."
        )
    )
    if not strict or not sees:
        return False, 0.0, 0, ""
    kind = st.segmented_control(
        "To forget",
        ["Classes in the basket", "Random share"],
        default="Classes in the basket",
        required=True,
        key="sparsify strict what",
    )
    if kind == "Random share":
        left, right = st.columns([3, 1], gap="medium")
        share = left.slider("Share of the training images", 0.01, 0.5, 0.1, 0.01, key="sparsify share")
        drawn = right.number_input(
            "Draw", 0, 2**31 - 1, key="sparsify draw", help="As on Forget: another number draws other images."
        )
        return True, share, int(drawn), ""
    if not chosen.forget:
        return True, 0.0, 0, "Put the classes to forget into the basket in the sidebar, or turn strict off."
    st.caption(md(f"Without ✕ {', ✕ '.join(chosen.forget)}."))
    return True, 0.0, 0, ""


def _where() -> tuple[str, int]:
    columns = st.columns(2)
    device = columns[0].selectbox("Device", form.devices(), key="sparsify device")
    seed = columns[1].number_input(
        "Seed", 0, 2**31 - 1, key="sparsify seed", help="Of training, and of every other random draw."
    )
    return str(device), int(seed)


def _refused(chosen: selection.Selection) -> str:
    """Why this model had better not be made sparse."""
    if models.card_of(chosen.model).get("facts", {}).get("sparsity"):
        return "This model is sparse already. Select the dense one in the sidebar."
    return ""


def _start(order: Order, problem: str) -> None:
    start.button(
        "Make it sparse",
        lambda nonce: [order],
        "sparsify start",
        refused=problem,
        after=lambda: st.session_state.pop("sparsify shown", None),
    )
    if problem:
        st.caption(md(problem))


def _runs(chosen: selection.Selection) -> None:
    """The run that works or waits, else the one that is picked, the newest at first."""
    records = [
        r for r in store().list("sparsify", 200) if r.request.get("settings", {}).get("model") == chosen.model
    ]
    st.subheader("What came of it")
    if not records:
        st.info(
            "This model wasn't made sparse yet. A run trains it again under a mask, shows here how it goes, and leaves a sparse "
            "model that every method can begin with."
        )
        return
    open_ = [r for r in records if not r.state.final]
    shown = next((r for r in open_ if r.state is RunState.RUNNING), open_[0] if open_ else _picked(records))
    if shown.state is RunState.SUCCEEDED:
        result.draw(store().get(shown.id))
    else:
        live_run.panel(shown.id, result.live)


def _picked(records: list[RunRecord]) -> RunRecord:
    by_id = {r.id: r for r in records}
    if len(records) == 1:
        return records[0]
    if st.session_state.get("sparsify shown") not in by_id:
        st.session_state["sparsify shown"] = records[0].id
    run_id = st.selectbox(
        "Run",
        list(by_id),
        format_func=lambda i: called(by_id[i]),
        key="sparsify shown",
    )
    return by_id[run_id]


def called(record: RunRecord) -> str:
    """A run's own name, or what it did and when."""
    asked, sparsity = record.request.get("settings", {}), record.request.get("params", {}).get("sparsity")
    told = (
        f"{asked.get('sparsifier', '')} at {trimmed_percent(float(sparsity))}"
        if sparsity
        else title_of(record)
    )
    return f"{record.name or told} · {when(record.created)}"
