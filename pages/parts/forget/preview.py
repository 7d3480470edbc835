"""What would happen, before anything runs: channels by layer, accuracy with them silenced, and the time it would take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.parts.charts import inked
from pages.parts.downloads import table_behind
from pages.parts.opened import opened
from pages.parts.plan import Planned, deciding, planned
from pages.parts.selection import Selection
from pages.parts.text import md
from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.params import build
from unlearn_core.plots.cuts import cuts
from unlearn_core.plots.dumbbell import dumbbell, most_telling
from unlearn_core.results import comparison
from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.verdicts import finding
from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams


@dataclass(frozen=True, eq=False)
class Preview:
    """What silencing the planned channels does to a fixed sample of test images.

    Attributes:
        plan: The channels that would go.
        channels: How many the model has.
        images: In the sample.
        before: The model as it is.
        after: The model with these channels silenced.
    """

    plan: PruningPlan
    channels: int
    images: int
    before: Evaluation
    after: Evaluation


def preview_of(selection: Selection, params: Mapping[str, Any], seed: int) -> Preview:
    """The plan, and accuracy by class before and with its channels silenced; the same question is answered once.

    Raises:
        UnlearnError: Nothing would be pruned, or model or data can't be opened.
    """
    settings = build(TfidfPruneParams, params)
    with opened(selection) as (loaded, data):
        made = planned(loaded, data, selection.forget, settings, seed)
        key = f"{deciding(settings)} {seed}"
        return _preview(loaded.digest, data.digest, selection.forget, key, made, loaded, data)


def draw(preview: Preview) -> None:
    """Draws a preview."""
    rows = comparison.per_class(preview.before, preview.after)
    st.markdown("**Accuracy right after pruning, before fine-tuning**")
    chart = dumbbell(most_telling(rows), "original", "pruned channels silenced")
    st.altair_chart(inked(chart), width="stretch")
    st.caption(
        f"Measured on a fixed sample of {preview.images:,} test images, as many of each class as there are. "
        "○ original · ● with the channels silenced · ✕ class to forget · whiskers: 95 % intervals · grey: within noise."
    )
    table_behind(rows, "preview_by_class")
    st.markdown("**Channels that would go, by layer**")
    layers = comparison.cuts(preview.plan)
    chart = cuts(layers)
    st.altair_chart(inked(chart), width="stretch")
    if any(row["how"] == "silenced" for row in layers):
        st.caption(
            "Channels that enter a residual sum are silenced, not cut out: the shortcut carries the same channel on "
            "(option-A shortcuts into other places). They stay zero through fine-tuning; only channels that are cut out "
            "make the model smaller."
        )
    for note in preview.plan.notes:
        st.caption(md(note))
    table_behind(layers, "preview_by_layer")


def sentence(preview: Preview, supposed: str = "") -> str:
    """What the preview shows, in a sentence; `supposed` names a class that nobody has picked yet."""
    total = preview.plan.total
    what = f"ilencing {total} of {preview.channels} channels"
    what = f"If you forgot “{supposed}”: s{what}" if supposed else f"S{what}"
    return finding(preview.before, preview.after, what=what, ahead=True)


@st.cache_resource(show_spinner=False, max_entries=64)
def _preview(
    model: str, data: str, forget: tuple[str, ...], key: str, _made: Planned, _loaded: Any, _data: Any
) -> Preview:
    from unlearn_core.unlearning import preview as previews

    forgotten = tuple(sorted(_data.classes.index(name) for name in forget))
    before, sample = _original(model, data, _loaded, _data)
    after = previews.masked_confusion(_loaded.model, _made.plan, sample, len(_data.classes))
    return Preview(
        _made.plan,
        channels=sum(_made.sizes.values()),
        images=len(sample),
        before=_evaluation(before, _data.classes, forgotten),
        after=_evaluation(after, _data.classes, forgotten),
    )


@st.cache_resource(show_spinner=False, max_entries=16)
def _original(model: str, data: str, _loaded: Any, _data: Any) -> tuple[Any, Any]:
    from unlearn_core.unlearning import preview as previews

    sample = previews.stratified_sample(_data.test, len(_data.classes))
    return previews.confusion(_loaded.model, sample, len(_data.classes)), sample


def _evaluation(confusion: Any, classes: tuple[str, ...], forgotten: tuple[int, ...]) -> Evaluation:
    return Evaluation(tuple(classes), forgotten, tuple(map(tuple, confusion.tolist())))
