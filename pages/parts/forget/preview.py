"""What would happen, before anything runs: channels by layer, accuracy with them silenced, and the time it would take."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from pages.parts.charts import inked
from pages.parts.downloads import table_behind
from pages.parts.opened import opened
from pages.parts.selection import Selection
from pages.parts.text import md
from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.plots.cuts import cuts
from unlearn_core.plots.dumbbell import dumbbell, most_telling
from unlearn_core.results import comparison
from unlearn_core.results.verdicts import finding

Shown = dict[str, Any]

# The settings that decide the plan; a change of the others needs no new preview.
_DECIDE = {"ratio", "scope", "where", "direction", "combine", "tap", "images_per_class", "residual", "cut"}


def preview_of(selection: Selection, params: Mapping[str, Any], seed: int) -> Shown:
    """The plan, and accuracy by class before and with its channels silenced; the same question is answered once.

    Raises:
        UnlearnError: Nothing would be pruned, or model or data can't be opened.
    """
    with opened(selection) as (loaded, data):
        asked = json.dumps({k: v for k, v in params.items() if k in _DECIDE}, sort_keys=True)
        return _preview(loaded.digest, data.digest, selection.forget, asked, seed, loaded, data)


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
    model: str, data: str, forget: tuple[str, ...], asked: str, seed: int, _loaded: Any, _data: Any
) -> Shown:
    from unlearn_core.data.split import ForgetSpec, split_dataset
    from unlearn_core.params import build
    from unlearn_core.unlearning import preview
    from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams

    params = build(TfidfPruneParams, json.loads(asked))
    split = split_dataset(_data, ForgetSpec(forget))
    stats = _stats(model, data, forget, params.tap, params.images_per_class, _loaded, split, params)
    plan: PruningPlan = preview.planned(_loaded.model, split, params, stats, seed)
    before, sample = _original(model, data, _loaded, _data)
    after = preview.masked_confusion(_loaded.model, plan, sample, len(_data.classes))
    return {
        "plan": plan,
        "channels": sum(values.shape[1] for values in stats.sums.values()),
        "images": len(sample),
        "before": _plain(before, _data.classes, split.forget_classes),
        "after": _plain(after, _data.classes, split.forget_classes),
    }


@st.cache_resource(show_spinner=False, max_entries=16)
def _stats(
    model: str,
    data: str,
    forget: tuple[str, ...],
    tap: str,
    per_class: int,
    _loaded: Any,
    _split: Any,
    _params: Any,
) -> Any:
    from unlearn_core.unlearning import preview

    return preview.scoring_stats(_loaded.model, _split, _params)


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
