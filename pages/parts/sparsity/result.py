"""What making a model sparse gave: accuracy before and after, weights by layer, and the overlap of two masks."""

from typing import Any

import streamlit as st

from pages.parts import selection
from pages.parts.charts import inked
from pages.parts.downloads import table_behind
from pages.parts.opened import store
from pages.parts.text import md
from unlearn_core.plots import sparsity as plots
from unlearn_core.results.loading import of_record
from unlearn_core.results.result import Overlap, SparsifyResult, Withheld
from unlearn_core.running.curves import accuracy_by_rung
from unlearn_core.running.words import title_of
from unlearn_core.store.runs import RunRecord
from unlearn_core.unlearning.provenance import sentence_of
from unlearn_core.words import duration, figure, percent


def draw(record: RunRecord) -> None:
    """A finished run."""
    result = of_record(record)
    if not isinstance(result, SparsifyResult):
        st.error(
            f"**{md(title_of(record))}** finished, but its files are damaged. {md(' '.join(record.damage))} Run it again."
        )
        return
    st.success(f"**{md(sentence(result))}**")
    numbers(result)
    data = str(record.request["settings"]["data"])
    selection.link("pages/forget.py", "Unlearn from this sparse model →", model=f"run:{record.id}", data=data)
    chart = plots.by_layer(result.layers, result.sparsity)
    st.altair_chart(inked(chart), width="stretch", key=f"layers {record.id}")
    table_behind(rows(result), f"sparsity-{record.id}", formats={"gone, %": "%.2f"})
    for note in result.notes:
        st.warning(md(note))


def sentence(result: SparsifyResult) -> str:
    """What was done and what it cost."""
    return (
        f"{percent(result.sparsity, 2)} of the convolutions' weights are gone; test accuracy went from "
        f"{figure(result.before.test_accuracy)} to {percent(result.after.test_accuracy)} in {duration(result.seconds)}."
    )


def numbers(result: SparsifyResult) -> None:
    """Three or four figures in a row, and what the overlap of masks means."""
    before, after = (e.test_accuracy or 0 for e in (result.before, result.after))
    told = [
        ("Sparsity", percent(result.sparsity), None),
        # The arrow takes its direction from a hyphen, not from a minus.
        ("Test accuracy", percent(after), f"{100 * (after - before):+.1f} points"),
        ("Finding the mask took", duration(result.mask_seconds or 0), None),
    ]
    if result.overlap:
        told.append(("Overlap of the two masks", percent(result.overlap.iou), None))
    for column, (name, value, delta) in zip(st.columns(len(told)), told, strict=True):
        column.metric(name, value, delta, delta_color="off")
    if result.overlap and result.forget:
        st.markdown(md(overlap_text(result.overlap, result.forget)))
    if sentence_of(result.chosen):
        st.caption(md(sentence_of(result.chosen)))


def overlap_text(shared: Overlap, withheld: Withheld) -> str:
    """How much of the mask came from the forget set, as far as the overlap can say."""
    what = f"class {', '.join(withheld.classes)}" if withheld.classes else "the share to forget"
    return (
        f"The strict mask and the one that saw {what} ({withheld.images:,} images) share {percent(shared.iou)} of the "
        f"weights that either keeps; two masks drawn at random would share {percent(shared.chance)}. What they don't share is "
        "what the images, and the other course of training without them, changed. The strict one is in use."
    )


def rows(result: SparsifyResult) -> list[dict[str, Any]]:
    """One row a layer."""
    return [
        {"layer": name, "weights": v.weights, "kept": v.kept, "gone, %": 100 * v.sparsity}
        for name, v in result.layers.items()
    ]


def live(record: RunRecord) -> None:
    """Of a run at work: test accuracy after each epoch under the mask; partial, no result."""
    accuracy = accuracy_by_rung(store(), record)
    if accuracy:
        last = list(accuracy.items())[-1]
        st.line_chart(
            {"epoch": range(1, len(accuracy) + 1), "test accuracy, %": [100 * v for v in accuracy.values()]},
            x="epoch",
            y="test accuracy, %",
            height=180,
            color=plots.RETAINED,
        )
        st.caption(
            md(f"Test accuracy under the mask after {last[0]}: {percent(last[1])}. Live, not yet a result.")
        )
