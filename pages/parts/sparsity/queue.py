"""What of the sweep is missing for the selected model, and a button that queues it as ordinary runs."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from pages.parts import estimate, methods, selection, start
from pages.parts.forget import form
from pages.parts.opened import store
from pages.parts.sparsity.families import is_of
from pages.parts.text import md
from unlearn_core.experiments.families import Family
from unlearn_core.experiments.sweep import STEPS, missing
from unlearn_core.running.grid import MOST
from unlearn_core.running.sweeps import Cells, Sweep
from unlearn_core.sparsify.registry import SPARSIFIERS
from unlearn_core.unlearning.registry import REFERENCE, in_sparsity_paper, short_label
from unlearn_core.words import counted, trimmed_percent

_KEY = "sparsity queue"


def draw(family: Family | None, chosen: selection.Selection) -> None:
    """The missing cells for the selected model; another model's sweep is only told of."""
    st.subheader("Fill the gaps")
    if family is not None and not is_of(family, chosen):
        st.caption(
            md(f"These figures are of {family.model}; select it in the sidebar to queue what is missing.")
        )
        return
    if family is None and not chosen.forget:
        st.info(
            "Nothing is stored for this model yet. Put a class into the forget basket in the sidebar, and queue a sweep here."
        )
        return
    cells, sparsifier = _wanted(family)
    sweep = _sweep(family, chosen, sparsifier)
    pending = sweep.pending(store())
    cells = [cell for cell in cells if cell not in pending]
    if not cells:
        st.caption("Everything that is chosen here was measured, or is waiting in the queue.")
        return
    _overview(cells)
    orders = sweep.orders(store(), cells)
    sparse = sorted(o.request["params"]["sparsity"] for o in orders if o.kind == "sparsify")
    st.markdown(md(_sentence(cells, sparse, sparsifier)))
    if len(orders) > MOST:
        st.warning(f"At most {MOST} runs can be queued at once; choose fewer sparsities or methods.")
        return
    start.button(
        f"Queue {len(orders)} runs" if len(orders) > 1 else "Queue 1 run",
        lambda nonce: orders,
        _KEY,
        width="content",
        after=lambda: start.renew(_KEY),
    )
    st.caption(md(_time(chosen, sweep, cells, sparse)))


def _sweep(family: Family | None, chosen: selection.Selection, sparsifier: str) -> Sweep:
    classes, fraction, draw_number = (
        (family.classes, family.fraction, family.draw) if family else (chosen.forget, 0.0, 0)
    )
    names = "" if fraction else form.names_of(classes)
    return Sweep(chosen.model, chosen.data, names, fraction, draw_number, sparsifier, form.devices()[0])


def _wanted(family: Family | None) -> tuple[list[tuple[float, str]], str]:
    left, middle, right = st.columns([3, 3, 1])
    key = family.key if family else "new"
    sparsities = left.multiselect(
        "Sparsities",
        STEPS,
        default=list(STEPS) if family else [0.0, 0.95],
        format_func=trimmed_percent,
        key=f"sparsity queue at {key}",
    )
    names = [m.name for m in methods.offered(family.fraction if family else 0.0) if m.name != REFERENCE]
    picked = middle.multiselect(
        "Methods, with their defaults",
        names,
        default=[n for n in names if in_sparsity_paper(n)] if family else ["fine_tune"],
        format_func=short_label,
        key=f"sparsity queue by {key}",
        help="Retraining always runs first at each sparsity: all others are compared with it.",
    )
    maker = right.selectbox("Weights chosen by", list(SPARSIFIERS), key=f"sparsity queue maker {key}")
    return missing(family, picked, sorted(sparsities), maker), maker


def _overview(cells: Cells) -> None:
    """What is missing, before anything starts: methods by sparsities."""
    columns = sorted({s for s, _ in cells})
    rows = [
        {
            "method": short_label(name),
            **{trimmed_percent(s): "missing" if (s, name) in set(cells) else "·" for s in columns},
        }
        for name in dict.fromkeys(name for _, name in cells)
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="sparsity missing")


def _sentence(cells: Cells, sparse: Sequence[float], maker: str) -> str:
    many = len(cells) + len(sparse)
    told = f"{counted(many, 'run')} would be queued: {len(cells)} of unlearning"
    if not sparse:
        return told + ", on models that are there."
    which = ", ".join(map(trimmed_percent, sparse))
    return f"{told}, after {len(sparse)} that make{'s' if len(sparse) == 1 else ''} the model sparse ({maker}, {which})."


def _time(chosen: selection.Selection, sweep: Sweep, cells: Cells, sparse: Sequence[float]) -> str:
    """How long that would take, as far as the dense model tells: on a sparse one a step takes as long."""
    making = [sweep.sparse_order(sparsity) for sparsity in sparse]
    unlearning = [sweep.order(0.0, method, sweep.model) for _, method in cells]
    return estimate.sweep_sentence(chosen, making, unlearning)
