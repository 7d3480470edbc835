"""Confusion matrices whose cells can be clicked, and where a forgotten class's images go."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from unlearn_core.plots.marks import CROSS, FORGOTTEN, NOISE, RETAINED, Rows, class_axis, described, marked
from unlearn_core.words import signed

CELL = "cell"
_WRITTEN = 12
TITLES = {
    "before_share": "share of the true class, %",
    "after_share": "share of the true class, %",
    "difference": "points, after − before",
}


def confusion(rows: Rows, value: str, forgotten: Sequence[str], selected: str = "") -> alt.LayerChart:
    """True class by answer; a click on a cell selects it under the name `CELL`.

    Args:
        rows: From `comparison.confusion`.
        value: `before_share`, `after_share` or `difference`: what the colour says.
        forgotten: Names of the forgotten classes.
        selected: The `cell` that is outlined.
    """
    table = pd.DataFrame(rows)
    names = list(dict.fromkeys(r["true"] for r in rows))
    labels = {name: marked(name, name in set(forgotten)) for name in names}
    table["from"], table["to"] = table["true"].map(labels), table["answer"].map(labels)
    table["text"] = [_text(r, value) for r in rows]
    table["strong"] = _strong(table[value], value)
    table["selected"] = table["cell"] == selected
    side = max(9, min(34, 380 // len(names)))
    picked = alt.selection_point(name=CELL, fields=["cell"], on="click", empty=False, clear=False)
    order = list(labels.values())
    base = alt.Chart(table, width=alt.Step(side), height=alt.Step(side)).encode(
        alt.X(
            "to:N",
            sort=order,
            axis=class_axis("answer", labelAngle=-45 if max(map(len, names)) > 2 else 0, orient="top"),
        ),
        alt.Y("from:N", sort=order, axis=class_axis("true class")),
    )
    cells = (
        base.mark_rect(cursor="pointer", cornerRadius=2)
        .encode(
            color=_colour(table, value),
            stroke=alt.condition(alt.datum.selected, alt.value(FORGOTTEN), alt.value(None)),
            strokeWidth=alt.condition(alt.datum.selected, alt.value(3), alt.value(0)),
            tooltip=[
                alt.Tooltip("true:N", title="true class"),
                alt.Tooltip("answer:N"),
                alt.Tooltip("before:Q", title="images before"),
                alt.Tooltip("after:Q", title="images after"),
                alt.Tooltip("difference:Q", title="difference, points", format="+.1f"),
            ],
        )
        .add_params(picked)
    )
    if len(names) > _WRITTEN:
        return described(alt.layer(cells), alt_text(rows, value))
    on_strong = (
        base.transform_filter(alt.datum.strong).mark_text(fontSize=11, color="white").encode(text="text:N")
    )
    on_weak = base.transform_filter(~alt.datum.strong).mark_text(fontSize=11).encode(text="text:N")
    return described(alt.layer(cells, on_strong, on_weak), alt_text(rows, value))


def destinations(rows: Rows, most: int = 12) -> alt.LayerChart:
    """What the forgotten class's images are taken for now: bars of images, a tick where it stood before.

    Args:
        rows: From `comparison.destinations`.
        most: How many answers are drawn.
    """
    leading = list(rows)[:most]
    table = pd.DataFrame(leading)
    table["label"] = [marked(r["answer"], r["forgotten"]) for r in leading]
    table["text"] = [f"{r['after']} ({r['share']:.0f} %)" for r in leading]
    base = alt.Chart(table, height=alt.Step(26)).encode(
        alt.Y(
            "label:N", sort=list(table["label"]), axis=class_axis("answered now", ticks=False, domain=False)
        ),
        tooltip=[
            "answer:N",
            alt.Tooltip("before:Q", title="images before"),
            alt.Tooltip("after:Q", title="images after"),
        ],
    )
    chart = alt.layer(
        base.mark_bar(cornerRadiusEnd=3, size=16).encode(
            alt.X("after:Q", title="test images of the forgotten class", axis=alt.Axis(tickCount=5)),
            color=alt.Color(
                "forgotten:N", legend=None, scale=alt.Scale(domain=[True, False], range=[FORGOTTEN, RETAINED])
            ),
        ),
        base.transform_filter(alt.datum.before > 0)
        .mark_tick(thickness=2, size=20, color=NOISE)
        .encode(alt.X("before:Q")),
        base.mark_text(align="left", dx=6, fontSize=12).encode(alt.X("after:Q"), text="text:N"),
    )
    first = leading[0] if leading else None
    most_of_them = f"most go to {first['answer']} ({first['share']:.0f} %)" if first else "there are none"
    return described(chart, f"Where the forgotten class's test images go now: {most_of_them}.")


def alt_text(rows: Rows, value: str) -> str:
    """What the matrix shows, as a sentence."""
    if value == "difference":
        most = max(rows, key=lambda r: abs(r["difference"]))
        cell = f"{most['true']} answered {most['answer']}: {signed(most['difference'], 0)} points"
        return f"Difference of two confusion matrices; the largest change is {cell}."
    wrong = [r for r in rows if r["true"] != r["answer"]]
    most = max(wrong, key=lambda r: r[value])
    return f"Confusion matrix; the most frequent mistake is {most['true']} answered {most['answer']}: {most[value]:.0f} %."


def _text(row: Mapping[str, Any], value: str) -> str:
    if value == "difference":
        return signed(row["difference"], 0) if abs(row["difference"]) >= 0.5 else ""
    count = row["before" if value == "before_share" else "after"]
    return str(count) if count else ""


def _strong(values: "pd.Series[float]", value: str) -> "pd.Series[bool]":
    """Where the cell's colour is strong enough for white numbers."""
    if value == "difference":
        return values.abs() > 0.5 * max(1.0, float(values.abs().max()))
    return values > 45


def _colour(table: pd.DataFrame, value: str) -> alt.Color:
    legend = alt.Legend(
        title=TITLES[value], orient="bottom", gradientLength=130, direction="horizontal", titleLimit=240
    )
    if value == "difference":
        far = max(1.0, float(table[value].abs().max()))
        legend.values = [-round(far), 0, round(far)]
        return alt.Color(
            f"{value}:Q", scale=alt.Scale(domain=[-far, 0, far], range=_DIVERGING), legend=legend
        )
    legend.values = [0, 50, 100]
    return alt.Color(f"{value}:Q", scale=alt.Scale(domain=[0, 100], range=_SEQUENCE), legend=legend)


# Nothing is the ground itself, light or dark; white numbers stand on the strong end with a contrast above 4.5.
_SEQUENCE = ["#2575AE0A", "#2575AE"]
_DIVERGING = ["#2575AE", "#8C8C8C1A", "#BC5A08"]

__all__ = ["CELL", "CROSS", "confusion", "destinations"]
