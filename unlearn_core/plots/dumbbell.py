"""Accuracy by class of two models: a dumbbell a class, with 95 % intervals."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from unlearn_core.plots.marks import (
    FORGOTTEN,
    NOISE,
    RETAINED,
    Rows,
    class_axis,
    described,
    marked,
    percent_axis,
)
from unlearn_core.words import listed, signed

MOST_ROWS = 24


def most_telling(rows: Rows, most: int = MOST_ROWS) -> list[Mapping[str, Any]]:
    """The forgotten classes, then those that changed most; in the model's order. All when they are few."""
    ranked = sorted(rows, key=lambda r: (not r["forgotten"], -abs(r["difference"])))[:most]
    names = {r["class"] for r in ranked}
    return [r for r in rows if r["class"] in names]


def dumbbell(rows: Rows, before: str = "before", after: str = "after") -> alt.LayerChart:
    """One row a class: a ring before, a disc after (a cross where forgotten), whiskers of 95 %, grey within noise.

    Args:
        rows: From `comparison.per_class`.
        before: What the ring is.
        after: What the disc is.
    """
    table = pd.DataFrame(rows)
    table["label"] = [marked(r["class"], r["forgotten"]) for r in rows]
    table["kind"] = [
        "forgotten" if r["forgotten"] else "within noise" if r["noise"] else "changed" for r in rows
    ]
    table["change"] = [signed(r["difference"]) for r in rows]
    base = alt.Chart(table, height=alt.Step(26)).encode(
        y=alt.Y("label:N", sort=list(table["label"]), axis=class_axis(None, ticks=False, domain=False)),
        color=alt.Color(
            "kind:N",
            legend=None,
            scale=alt.Scale(
                domain=["forgotten", "within noise", "changed"], range=[FORGOTTEN, NOISE, RETAINED]
            ),
        ),
        tooltip=[
            alt.Tooltip("class:N"),
            alt.Tooltip("before:Q", title=f"{before} %", format=".1f"),
            alt.Tooltip("after:Q", title=f"{after} %", format=".1f"),
            alt.Tooltip("difference:Q", title="difference, points", format="+.1f"),
            alt.Tooltip("kind:N", title=""),
            alt.Tooltip("images:Q", title="test images"),
        ],
    )
    x = alt.X("before:Q", scale=alt.Scale(domain=[0, 100]), axis=percent_axis("test accuracy"))
    chart = alt.layer(
        base.mark_rule(strokeWidth=1.5, opacity=0.45, yOffset=-4).encode(
            alt.X("before_low:Q"), alt.X2("before_high:Q")
        ),
        base.mark_rule(strokeWidth=1.5, opacity=0.8, yOffset=4).encode(
            alt.X("after_low:Q"), alt.X2("after_high:Q")
        ),
        base.mark_rule(strokeWidth=3, opacity=0.35).encode(x, alt.X2("after:Q")),
        base.mark_point(size=190, strokeWidth=2, filled=False).encode(x),
        base.mark_point(size=85, filled=True, opacity=1).encode(
            alt.X("after:Q"),
            shape=alt.Shape(
                "kind:N",
                legend=None,
                scale=alt.Scale(
                    domain=["forgotten", "within noise", "changed"], range=["cross", "circle", "circle"]
                ),
            ),
            angle=alt.condition("datum.kind == 'forgotten'", alt.value(45), alt.value(0)),
        ),
        base.mark_text(align="left", dx=16, fontSize=12).encode(x=alt.value("width"), text="change:N"),
    )
    return described(chart, alt_text(rows, before, after))


def alt_text(rows: Rows, before: str, after: str) -> str:
    """What the chart shows, as a sentence."""
    gone = [f"{r['class']} {r['before']:.0f} to {r['after']:.0f} %" for r in rows if r["forgotten"]]
    moved = [
        f"{r['class']} {signed(r['difference'], 0)}" for r in rows if not r["forgotten"] and not r["noise"]
    ]
    return (
        f"Test accuracy by class, {before} and {after}. Forgotten: {listed(gone) or 'none'}. "
        f"Others outside noise: {listed(moved) or 'none'}."
    )
