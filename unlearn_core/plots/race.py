"""Unlearning against retraining on one axis, and plans against the exact one."""

from collections.abc import Sequence
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
from unlearn_core.words import percent

QUANTITIES = {"rounds": "rounds", "seconds": "seconds of work", "megabytes": "megabytes sent, both ways"}
_GROUPS = ["forgotten", "retained"]


def race(rows: Rows, quantity: str) -> alt.LayerChart:
    """Accuracy on forgotten and kept classes over what it cost; the first run is solid, others are dashed.

    Args:
        rows: From `federation.race_rows`, of one run or several.
        quantity: A key of `QUANTITIES`.
    """
    runs = list(dict.fromkeys(r["run"] for r in rows))
    table = pd.DataFrame(rows)
    x = alt.X(f"{quantity}:Q", title=QUANTITIES[quantity], axis=alt.Axis(tickMinStep=1, grid=False))
    y = alt.Y("accuracy:Q", scale=alt.Scale(domain=[0, 100]), axis=percent_axis("test accuracy"))
    colour = alt.Color(
        "group:N",
        scale=alt.Scale(domain=_GROUPS, range=[FORGOTTEN, RETAINED]),
        title="classes",
        legend=alt.Legend(orient="top", symbolType="circle", symbolOpacity=1),
    )
    dash = alt.StrokeDash(
        "run:N",
        scale=alt.Scale(domain=runs, range=[[1, 0], [6, 4], [2, 3]][: len(runs)]),
        title="run",
        legend=alt.Legend(
            orient="top", symbolType="stroke", symbolStrokeColor=NOISE, symbolStrokeWidth=2.5, symbolSize=500, labelLimit=320,
        ),
    )  # fmt: skip
    order = alt.Order("order:Q")
    table["order"] = range(len(table))
    base = alt.Chart(table, height=400).encode(x, color=colour)
    tooltip = [
        "run:N",
        "rung:N",
        "group:N",
        alt.Tooltip("accuracy:Q", title="test accuracy, %", format=".1f"),
        alt.Tooltip("low:Q", title="95 % interval from", format=".1f"),
        alt.Tooltip("high:Q", title="to", format=".1f"),
        alt.Tooltip("seconds:Q", format=".1f"),
        alt.Tooltip("megabytes:Q", format=".1f"),
    ]
    first = f"datum.run == {runs[0]!r}" if runs else "true"
    points = base.mark_point(size=90, filled=True).encode(
        y,
        shape=alt.Shape("group:N", scale=alt.Scale(domain=_GROUPS, range=["cross", "circle"]), legend=None),
        angle=alt.condition("datum.group == 'forgotten'", alt.value(45), alt.value(0)),
        size=alt.condition(first, alt.value(110), alt.value(45)),
        opacity=alt.value(1),
        tooltip=tooltip,
    )
    bands = base.transform_filter(first).mark_area(opacity=0.14).encode(alt.Y("low:Q"), alt.Y2("high:Q"))
    lines = base.mark_line(strokeWidth=2.5).encode(y, strokeDash=dash, order=order)
    return described(alt.layer(bands, lines, points), race_alt(rows, quantity))


def race_alt(rows: Rows, quantity: str) -> str:
    """Where each run begins and ends, as a sentence."""
    parts = []
    for run in dict.fromkeys(r["run"] for r in rows):
        for group in _GROUPS:
            course = [r for r in rows if r["run"] == run and r["group"] == group]
            if course:
                end = course[-1]
                parts.append(
                    f"{run}, {group} classes: {course[0]['accuracy']:.0f} to {end['accuracy']:.0f} % after "
                    f"{end[quantity]:.3g} {quantity}"
                )
    return f"Test accuracy over {QUANTITIES[quantity]}. {'; '.join(parts)}."


def agreement_by_class(
    shares: Sequence[float | None], classes: Sequence[str], forgotten: set[int], chance: float
) -> alt.LayerChart:
    """A bar a class: the share of the exact plan's channels that a plan from the plain average prunes too.

    Args:
        shares: In [0, 1] for each of K classes; None where there are too few images.
        classes: The K class names.
        forgotten: Indices of the classes that the run forgets.
        chance: The share to expect of random channels.
    """
    rows = [
        {"class": marked(name, k in forgotten), "share": 100 * share, "forgotten": k in forgotten}
        for k, (name, share) in enumerate(zip(classes, shares, strict=True))
        if share is not None
    ]
    table = pd.DataFrame(rows, columns=["class", "share", "forgotten"])
    base = alt.Chart(table, height=alt.Step(26)).encode(
        alt.Y("class:N", sort=list(table["class"]), axis=class_axis(None, ticks=False, domain=False)),
        alt.X(
            "share:Q", scale=alt.Scale(domain=[0, 100]), axis=percent_axis("agreement with the exact plan")
        ),
    )
    bars = base.mark_bar(size=14, cornerRadiusEnd=3).encode(
        color=alt.condition("datum.forgotten", alt.value(FORGOTTEN), alt.value(RETAINED)),
        tooltip=["class:N", alt.Tooltip("share:Q", title="agreement, %", format=".1f")],
    )
    written = base.mark_text(align="left", dx=6, fontSize=12).encode(text=alt.Text("share:Q", format=".0f"))
    parts = ", ".join(f"{r['class']} {r['share']:.0f} %" for r in rows)
    return described(alt.layer(bars, written, _chance(chance, "x")), f"Agreement of plans by class: {parts}.")


def agreement_of_clients(rows: Rows, chance: float) -> alt.LayerChart:
    """A bar a client: the share of the exact plan's channels that it would prune by its own images alone.

    Args:
        rows: client, images (of the classes to forget) and share in [0, 1] or None.
        chance: The share to expect of random channels.
    """
    table = pd.DataFrame([{**r, "share": 100 * r["share"]} for r in rows if r["share"] is not None])
    base = alt.Chart(table, height=alt.Step(24)).encode(
        alt.Y("client:O", sort="-x", title="client", axis=alt.Axis(ticks=False, domain=False)),
        alt.X("share:Q", scale=alt.Scale(domain=[0, 100]), axis=percent_axis("agreement with the plan of all")),
        tooltip=["client:O", alt.Tooltip("images:Q", title="images of the class"), alt.Tooltip("share:Q", format=".1f")],
    )  # fmt: skip
    bars = base.mark_bar(size=13, cornerRadiusEnd=3, color=RETAINED)
    written = base.mark_text(align="left", dx=6, fontSize=12).encode(text=alt.Text("share:Q", format=".0f"))
    parts = ", ".join(
        f"client {r['client']} {percent(r['share'], 0)}" for r in rows if r["share"] is not None
    )
    return described(
        alt.layer(bars, written, _chance(chance, "x")), f"Agreement of each client alone: {parts}."
    )


def agreement_over(rows: Rows, name: str, title: str, own: float | None, chance: float) -> alt.LayerChart:
    """The agreement of the plan with the exact one over a floor k or an epsilon, on a logarithmic axis.

    Args:
        rows: With `name`, `agreement` in [0, 1] or None, and `low` and `high` where it was drawn several times.
        name: The field on the axis: `k` or `epsilon`.
        title: Of the axis.
        own: The run's own value, marked; None for none.
        chance: The share to expect of random channels.
    """
    keys = [k for k in ("agreement", "low", "high") if any(k in r for r in rows)]
    measured = [
        {**r, **{k: 100 * r[k] for k in keys if r.get(k) is not None}}
        for r in rows
        if r["agreement"] is not None
    ]
    values = [r[name] for r in rows]
    x = alt.X(
        f"{name}:Q",
        scale=alt.Scale(type="log", domain=[min(values), max(values)]),
        axis=alt.Axis(title=title, values=values, format="~s", grid=False),
    )
    y = alt.Y(
        "agreement:Q", scale=alt.Scale(domain=[0, 100]), axis=percent_axis("agreement with the exact plan")
    )
    base = alt.Chart(pd.DataFrame(measured, columns=[*(rows[0] if rows else ()),]), height=280).encode(x)  # fmt: skip
    tooltip = [alt.Tooltip(f"{name}:Q"), alt.Tooltip("agreement:Q", title="agreement, %", format=".1f")]
    layers: list[Any] = [
        base.mark_line(strokeWidth=2.5, color=RETAINED).encode(y),
        base.mark_point(size=80, filled=True, color=RETAINED, opacity=1).encode(y, tooltip=tooltip),
        _chance(chance, "y"),
    ]
    if "low" in keys:
        layers.insert(0, base.mark_area(color=RETAINED, opacity=0.2).encode(alt.Y("low:Q"), alt.Y2("high:Q")))
    if own is not None:
        mark = alt.Chart(pd.DataFrame({name: [own], "text": ["this run"]})).encode(alt.X(f"{name}:Q"))
        layers += [
            mark.mark_rule(color=FORGOTTEN, strokeWidth=2),
            mark.mark_text(align="left", dx=6, fontSize=12).encode(y=alt.value(10), text="text:N"),
        ]
    parts = ", ".join(f"{r[name]:g}: {r['agreement']:.0f} %" for r in measured)
    return described(alt.layer(*layers), f"Agreement with the exact plan over {title}. {parts}.")


def _chance(share: float, along: str) -> Any:
    """A dashed line where random channels would stand; named where there is room for it."""
    base = alt.Chart(pd.DataFrame({"share": [100 * share], "text": ["by chance"]}))
    position = alt.X("share:Q") if along == "x" else alt.Y("share:Q")
    line = base.mark_rule(color=NOISE, strokeDash=[5, 4], strokeWidth=1.5).encode(position)
    if along == "x":
        return line
    text = base.mark_text(fontSize=12, align="right", dx=-4, dy=8)
    return alt.layer(line, text.encode(position, x=alt.value("width"), text="text:N"))
