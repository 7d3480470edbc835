"""What would happen, before anything runs: channels by layer, accuracy with them silenced, and the time it would take."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from pages.parts.charts import inked
from pages.parts.downloads import table_behind
from pages.parts.opened import opened
from pages.parts.plan import Planned, deciding, planned
from pages.parts.selection import Selection
from pages.parts.text import md
from unlearn_core.params import build
from unlearn_core.plots.cuts import cuts
from unlearn_core.plots.dumbbell import dumbbell, most_telling
from unlearn_core.results import comparison
from unlearn_core.results.verdicts import finding
from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams

Shown = dict[str, Any]


def preview_of(selection: Selection, params: Mapping[str, Any], seed: int) -> Shown:
    """The plan, and accuracy by class before and with its channels silenced; the same question is answered once.

    Raises:
        UnlearnError: Nothing would be pruned, or model or data can't be opened.
    """
    settings = build(TfidfPruneParams, params)
    with opened(selection) as (loaded, data):
        made = planned(loaded, data, selection.forget, settings, seed)
        key = f"{deciding(settings)} {seed}"
        return _preview(loaded.digest, data.digest, selection.forget, key, made, loaded, data)


def draw(shown: Shown) -> None:
    """Draws a preview."""
    rows = comparison.per_class(shown["before"], shown["after"])
    st.markdown("**Accuracy right after pruning, before fine-tuning**")
    chart = dumbbell(most_telling(rows), "original", "pruned channels silenced")
    st.altair_chart(inked(chart), width="stretch")
    st.caption(
        f"Measured on a fixed sample of {shown['images']:,} test images, as many of each class as there are. "
        "○ original · ● with the channels silenced · ✕ class to forget · whiskers: 95 % intervals · grey: within noise."
    )
    table_behind(rows, "preview_by_class")
    st.markdown("**Channels that would go, by layer**")
    layers = comparison.cuts(shown["plan"])
    chart = cuts(layers)
    st.altair_chart(inked(chart), width="stretch")
    if any(row["how"] == "silenced" for row in layers):
        st.caption(
            "Channels that enter a residual sum are silenced, not cut out: the shortcut carries the same channel on "
            "(option-A shortcuts into other places). They stay zero through fine-tuning; only channels that are cut out "
            "make the model smaller."
        )
    for note in shown["plan"].notes:
        st.caption(md(note))
    table_behind(layers, "preview_by_layer")


def sentence(shown: Shown, supposed: str = "") -> str:
    """What the preview shows, in a sentence; `supposed` names a class that nobody has picked yet."""
    total = sum(len(g.channels) * len(g.layers) for g in shown["plan"].groups)
    what = f"ilencing {total} of {shown['channels']} channels"
    what = f"If you forgot “{supposed}”: s{what}" if supposed else f"S{what}"
    return finding(shown["before"], shown["after"], what=what, ahead=True)


@st.cache_resource(show_spinner=False, max_entries=64)
def _preview(
    model: str, data: str, forget: tuple[str, ...], key: str, _made: Planned, _loaded: Any, _data: Any
) -> Shown:
    from unlearn_core.unlearning import preview

    forgotten = tuple(sorted(_data.classes.index(name) for name in forget))
    before, sample = _original(model, data, _loaded, _data)
    after = preview.masked_confusion(_loaded.model, _made.plan, sample, len(_data.classes))
    return {
        "plan": _made.plan,
        "channels": sum(_made.sizes.values()),
        "images": len(sample),
        "before": _plain(before, _data.classes, forgotten),
        "after": _plain(after, _data.classes, forgotten),
    }


@st.cache_resource(show_spinner=False, max_entries=16)
def _original(model: str, data: str, _loaded: Any, _data: Any) -> tuple[Any, Any]:
    from unlearn_core.unlearning import preview

    sample = preview.stratified_sample(_data.test, len(_data.classes))
    return preview.confusion(_loaded.model, sample, len(_data.classes)), sample


def _plain(confusion: Any, classes: tuple[str, ...], forgotten: tuple[int, ...]) -> Shown:
    total = int(np.sum(confusion))
    share = float(np.trace(confusion)) / max(1, total)
    return {
        "classes": list(classes),
        "forget_classes": list(forgotten),
        "confusion": confusion.tolist(),
        "test_accuracy": share,
    }
