"""What of the sweep is missing for the selected model, and a button that queues it as ordinary runs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from pages.parts import methods, selection
from pages.parts.estimate import estimate
from pages.parts.forget import form
from pages.parts.opened import store
from pages.parts.sparsity import time
from pages.parts.sparsity.families import is_of
from pages.parts.text import md
from pages.parts.tokens import hashed, nonce_of, renew
from unlearn_core.errors import UnlearnError
from unlearn_core.experiments.sweep import STEPS, Family, missing
from unlearn_core.running import jobs
from unlearn_core.running.grid import MOST
from unlearn_core.sparsify.registry import SPARSIFIERS
from unlearn_core.store.runs import RunState
from unlearn_core.unlearning.registry import REFERENCE, in_sparsity_paper, short_label
from unlearn_core.words import duration

_NONCE = "sparsity nonce"
_REFUSED = "sparsity refused"
Cells = Sequence[tuple[float, str]]


class _Forget(NamedTuple):
    """What is to be forgotten: classes, or a random share and the seed of its draw."""

    classes: tuple[str, ...]
    fraction: float = 0.0
    draw: int = 0


def draw(family: Family | None, chosen: selection.Selection) -> None:
    """The missing cells for the selected model; another model's sweep is only told of."""
    st.subheader("Fill the gaps")
    if family is not None and not is_of(family, chosen):
        st.caption(
            md(f"These figures are of {family.model}; select it in the sidebar to queue what is missing.")
        )
        return
    forget = _Forget(family.classes, family.fraction, family.draw) if family else _Forget(chosen.forget)
    if not forget.classes and not forget.fraction:
        st.info(
            "Nothing is stored for this model yet. Put a class into the forget basket in the sidebar, and queue a sweep here."
        )
        return
    cells, maker = _wanted(family)
    cells = [c for c in cells if c not in _pending(chosen, forget, maker)]
    sparse = sorted({s for s, _ in cells if s and not _made(chosen, maker, s)})
    if not cells:
        st.caption("Everything that is chosen here was measured, or is waiting in the queue.")
        return
    _overview(cells)
    told = _sentence(cells, sparse, maker)
    st.markdown(md(told))
    if len(cells) + len(sparse) > MOST:
        st.warning(f"At most {MOST} runs can be queued at once; choose fewer sparsities or methods.")
        return
    device = form.devices()[0]
    _button(chosen, forget, cells, sparse, maker, device)
    st.caption(md(_time(chosen, forget, cells, sparse, maker, device)))


def _wanted(family: Family | None) -> tuple[list[tuple[float, str]], str]:
    left, middle, right = st.columns([3, 3, 1])
    key = family.key if family else "new"
    sparsities = left.multiselect(
        "Sparsities",
        STEPS,
        default=list(STEPS) if family else [0.0, 0.95],
        format_func=lambda s: f"{100 * s:.4g} %",
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
            **{f"{100 * s:.4g} %": "missing" if (s, name) in set(cells) else "·" for s in columns},
        }
        for name in dict.fromkeys(name for _, name in cells)
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="sparsity missing")


def _sentence(cells: Cells, sparse: Sequence[float], maker: str) -> str:
    many = len(cells) + len(sparse)
    told = f"{many} run{'s' if many > 1 else ''} would be queued: {len(cells)} of unlearning"
    if not sparse:
        return told + ", on models that are there."
    which = ", ".join(f"{100 * s:.4g} %" for s in sparse)
    return f"{told}, after {len(sparse)} that make{'s' if len(sparse) == 1 else ''} the model sparse ({maker}, {which})."


def _button(
    chosen: selection.Selection,
    forget: _Forget,
    cells: Cells,
    sparse: Sequence[float],
    maker: str,
    device: str,
) -> None:
    nonce = nonce_of(_NONCE)
    many = len(cells) + len(sparse)
    st.button(
        f"Queue {many} runs" if many > 1 else "Queue 1 run",
        type="primary",
        key="sparsity queue",
        on_click=_submit,
        args=(chosen, forget, cells, maker, device, nonce),
    )
    if st.session_state.get(_REFUSED):
        st.error(md(st.session_state.pop(_REFUSED)))


def _submit(
    chosen: selection.Selection,
    forget: _Forget,
    cells: Cells,
    maker: str,
    device: str,
    nonce: str,
) -> None:
    """Queues the sparse models and, behind each, what is to be measured on it; a run waits for those before it."""
    made = {s: _made(chosen, maker, s) or chosen.model * (s == 0) for s in {s for s, _ in cells}}
    try:
        for sparsity, method in cells:
            if not made[sparsity]:
                request = _sparsify(chosen, maker, sparsity, device)
                name = f"{chosen.model.rpartition(':')[2]} at {100 * sparsity:.4g} %"
                record = jobs.submit(
                    store(), "sparsify", request, hashed(nonce, request, device), device, name
                )
                made[sparsity] = f"run:{record.id}"
            request = _unlearn(chosen, forget, method, made[sparsity], device)
            what = ", ".join(forget.classes) or f"{forget.fraction:.0%}"
            name = f"Forget {what} · {short_label(method)} · {100 * sparsity:.4g} % sparse"
            jobs.submit(store(), "unlearn", request, hashed(nonce, request, device), device, name)
    except UnlearnError as error:
        st.session_state[_REFUSED] = str(error)
    else:
        renew(_NONCE)


def _sparsify(chosen: selection.Selection, maker: str, sparsity: float, device: str) -> dict[str, Any]:
    settings = {
        "model": chosen.model,
        "data": chosen.data,
        "sparsifier": maker,
        "strict": False,
        "forget": "",
        "fraction": 0.0,
        "seed": 0,
        "device": device,
    }
    return {"settings": settings, "params": {"sparsity": sparsity}}


def _unlearn(
    chosen: selection.Selection,
    forget: _Forget,
    method: str,
    model: str,
    device: str,
) -> dict[str, Any]:
    settings = {
        "model": model,
        "data": chosen.data,
        "forget": "" if forget.fraction else form.names_of(forget.classes),
        "fraction": forget.fraction,
        "share_seed": forget.draw,
        "method": method,
        "controls": "none",
        "seed": 0,
        "device": device,
    }
    return {"settings": settings, "params": {}}


def _made(chosen: selection.Selection, maker: str, sparsity: float) -> str:
    """An own sparse model of this model, sparsity and sparsifier by default settings, finished or in the queue."""
    for record in store().list("sparsify", 200):
        asked = record.request
        wanted = _sparsify(chosen, maker, sparsity, "")
        same = all(
            asked.get("settings", {}).get(k) == wanted["settings"][k]
            for k in ("model", "data", "sparsifier", "strict", "seed")
        )
        alive = not record.state.final or record.state is RunState.SUCCEEDED
        if same and alive and asked.get("params") == wanted["params"]:
            return f"run:{record.id}"
    return ""


def _pending(chosen: selection.Selection, forget: _Forget, maker: str) -> set[tuple[float, str]]:
    """What waits or runs already."""
    found = set()
    sparse = {_made(chosen, maker, s): s for s in STEPS if s}
    sparse.pop("", None)
    for record in store().unfinished():
        asked = record.request.get("settings", {})
        wanted = _unlearn(chosen, forget, "", "", "")["settings"]
        same = all((asked.get(k) or "") == (wanted[k] or "") for k in ("forget", "fraction", "share_seed"))
        if record.kind != "unlearn" or not same:
            continue
        sparsity = 0.0 if asked["model"] == chosen.model else sparse.get(asked["model"])
        if sparsity is not None:
            found.add((sparsity, asked["method"]))
    return found


def _time(
    chosen: selection.Selection,
    forget: _Forget,
    cells: Cells,
    sparse: Sequence[float],
    maker: str,
    device: str,
) -> str:
    if store().unfinished():
        return "The time is not estimated while another run is using the machine."
    try:
        requests = [_unlearn(chosen, forget, m, chosen.model, device) for _, m in cells]
        told = f"Unlearning: {estimate(chosen, requests, device)}"
        if sparse:
            total = sum(time.seconds(chosen, _sparsify(chosen, maker, s, device), device)[0] for s in sparse)
            told = f"Making sparse: about {duration(total)}. {told}"
    except UnlearnError as error:
        return str(error)
    return told
