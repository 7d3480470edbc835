"""The ticked rows as charts: five axes, and bars by class; and two of them opened side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.parts import selection
from pages.parts.charts import inked
from pages.parts.compare.words import run_of
from pages.parts.downloads import table_behind
from pages.parts.text import md
from unlearn_core.experiments.classes import by_class
from unlearn_core.experiments.ranking import ranked
from unlearn_core.experiments.table import Row
from unlearn_core.plots.methods import (
    AXES,
    MOST_CLASSES,
    MOST_LINES,
    accuracy_bars,
    five_axes,
    telling_classes,
)
from unlearn_core.results.closeness import MEASURES

Names = Mapping[str, str]

_BEST = 2


def defaults(rows: Sequence[Row]) -> list[str]:
    """What is charted before anybody chooses: retraining, the closest methods, fine-tuning, the closest control."""
    reference = [r for r in rows if r.kind == "reference"][:1]
    closest = ranked(rows, "method")
    fine_tuned = [r for r in closest if r.method == "fine_tune"]
    usual = sorted(fine_tuned, key=lambda r: (r.sparsity, r.chosen != "published"))[:1]
    control = ranked(rows, "control")[:1]
    return list(dict.fromkeys(r.key for r in (*reference, *closest[:_BEST], *usual, *control)))


def ticked_rows(rows: Sequence[Row], wanted: Sequence[str]) -> list[Row]:
    """The rows that are ticked; the defaults where none of them is here."""
    picked = [r for r in rows if r.key in set(wanted)]
    usual = set(defaults(rows)) or {r.key for r in rows[:MOST_LINES]}
    return picked or [r for r in rows if r.key in usual]


def draw(picked: Sequence[Row], names: Names, random_share: bool) -> None:
    """Draws both charts."""
    drawn = picked[:MOST_LINES]
    if len(picked) > len(drawn):
        left_out = ", ".join(names[r.key] for r in picked[MOST_LINES:])
        st.caption(
            md(f"The first {MOST_LINES} of {len(picked)} ticked rows are drawn; left out: {left_out}.")
        )
    lines = [_line(row, names) for row in drawn]
    left, right = st.columns([1.1, 1], gap="medium")
    with left:
        _axes(lines, random_share, any(r.kind == "reference" for r in drawn))
    with right:
        _classes(drawn, lines, names)


def open_two(picked: Sequence[Row], names: Names) -> None:
    """A link that opens two of the ticked rows in Before / after; only runs of one's own have images to show there."""
    own = {row.key: run for row in picked if (run := run_of(row))}
    if len(own) < 2:
        st.caption(
            "Tick two rows that were measured here, other than controls, to open them side by side in Before / after: "
            "a stored study keeps numbers only."
        )
        return
    keys = list(own)
    a, b = keys[:2]
    left, middle, right = st.columns([2, 2, 2], vertical_alignment="bottom")
    if len(keys) > 2:
        a = left.selectbox("A", keys, format_func=names.get, key="compare a")
        b = middle.selectbox("B", [k for k in keys if k != a], format_func=names.get, key="compare b")
    else:
        left.markdown(f"A: {md(names[a])}")
        middle.markdown(f"B: {md(names[b])}")
    with right:
        selection.link("pages/before_after.py", "Open A and B in Before / after →", a=own[a], b=own[b])


def _axes(lines: Sequence[Mapping[str, Any]], random_share: bool, retrained: bool) -> None:
    st.subheader("Five axes")
    st.altair_chart(inked(five_axes(lines)), width="content")
    aim = (
        "for UA and MIA that is no rim but what a model gives that never saw the images"
        if random_share
        else "for a whole class its UA is 100 %"
    )
    wide = "the wide grey line, retraining" if retrained else "what retraining gives, which is not drawn here"
    st.caption(
        f"The aim is {wide}; {aim}. Outwards: UA and MIA-efficacy higher, so more forgotten; RA and TA "
        "higher, so more kept; run time shorter, on a logarithmic axis, at the rim 1 % of retraining's or less. Each axis has "
        "its own ends, written at its rim; controls are dashed."
    )  # fmt: skip
    table = [
        {"method": line["name"], **{title: _share(name, line[name]) for name, title in AXES.items()}}
        for line in lines
    ]
    table_behind(table, "five_axes", formats={AXES["time"]: "%.2f"})


def _classes(picked: Sequence[Row], lines: Sequence[Mapping[str, Any]], names: Names) -> None:
    st.subheader("By class")
    rows = [{"name": names[row.key], **line} for row in picked for line in by_class(row.trials)]
    telling = telling_classes(rows)
    st.altair_chart(inked(accuracy_bars(telling, lines)), width="stretch")
    classes = len({r["class"] for r in rows})
    grey = " · grey bars: retraining" if any(r.kind == "reference" for r in picked) else ""
    part = (
        f" The {MOST_CLASSES} of {classes} classes on which they differ most; all in the table."
        if classes > MOST_CLASSES
        else ""
    )
    st.caption(
        "Test accuracy; ✕ forgotten class · whiskers: 95 % intervals, of the mean over seeds, or Wilson's of the test images "
        f"where there is one seed{grey}.{part}"
    )
    table_behind(rows, "methods_by_class")


def _line(row: Row, names: Names) -> dict[str, Any]:
    values = {name: 100 * row.values[name].estimate if name in row.values else None for name in MEASURES}
    return {"name": names[row.key], "kind": row.kind, **values, "time": row.share}


def _share(name: str, value: float | None) -> float | None:
    return 100 * value if name == "time" and value is not None else value
