"""Charts over sparsity: measures by method, dense beside sparse, schedules of a penalty, a bound, and layers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from unlearn_core.plots.marks import NOISE, RETAINED, Rows, described
from unlearn_core.results.result import LayerSparsity
from unlearn_core.words import percent

TITLES = {
    "ua": "unlearning accuracy UA, %",
    "mia": "MIA efficacy, %",
    "ra": "remaining accuracy RA, %",
    "ta": "testing accuracy TA, %",
    "seconds": "run time, s",
    "avg_gap": "average gap to retraining, points",
}
# Each has a contrast of 3 or more to the light and to the dark ground; shapes say the same again.
_COLOURS = ("#2F86C1", "#C77C11", "#0E9A72", "#C264A0", "#D55E00", "#8A72CE", "#8A8500", "#4F9AA6")
_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "stroke")
_HEIGHT = 250


def over_sparsity(
    rows: Rows, names: Sequence[str], quantity: str, reference: str, at: float | None = None
) -> Any:
    """A line a method with 95 % intervals; retraining is the grey band behind them.

    Args:
        rows: series, sparsity (per cent), mean, low, high (None below two seeds) and seeds, of one quantity.
        names: All series in a fixed order, so that a method keeps its colour whichever are shown.
        quantity: A key of `TITLES`.
        reference: The series that is drawn as the band; for the average gap its rows are the noise floor, from 0.
        at: A sparsity to mark with a line; None for none.
    """
    table = _table(rows, quantity)
    base = alt.Chart(table, height=_HEIGHT, title=_title(quantity))
    x = alt.X("position:Q", axis=_axis(table), scale=alt.Scale(padding=12), title="sparsity, %")
    y = alt.Y("mean:Q", title=None, scale=_scale(quantity), axis=_values(table, quantity))
    grey = base.transform_filter(alt.datum.series == reference)
    others = base.transform_filter(alt.datum.series != reference)
    colour = alt.Color("series:N", scale=colours(names, reference), legend=None)
    shape = alt.Shape("series:N", scale=shapes(names, reference), legend=None)
    layers: list[Any] = [
        grey.mark_area(color=NOISE, opacity=0.25).encode(x, alt.Y("low:Q"), alt.Y2("high:Q")),
        grey.mark_line(color=NOISE, strokeWidth=3).encode(x, y),
        others.mark_rule(strokeWidth=1.5, opacity=0.55).encode(
            x, alt.Y("low:Q"), alt.Y2("high:Q"), color=colour
        ),
        others.mark_line(strokeWidth=2).encode(x, y, color=colour),
        base.mark_point(size=65, filled=True, opacity=1).encode(
            x, y, color=colour, shape=shape, tooltip=_tooltip(quantity)
        ),
    ]
    if at is not None:
        mark = alt.Chart(pd.DataFrame({"position": [_position(at)]}))
        layers.insert(
            0, mark.mark_rule(strokeDash=[4, 4], color=NOISE, opacity=0.8).encode(alt.X("position:Q"))
        )
    return described(alt.layer(*layers), over_alt(rows, quantity))


def over_alt(rows: Rows, quantity: str) -> str:
    """Where each series begins and ends, as a sentence."""
    parts = []
    for name in dict.fromkeys(r["series"] for r in rows):
        mine = sorted((r for r in rows if r["series"] == name), key=lambda r: r["sparsity"])
        ends = [f"{r['mean']:.1f} at {r['sparsity']:.4g} %" for r in (mine[0], mine[-1])]
        parts.append(f"{name} {' and '.join(dict.fromkeys(ends))}")
    return f"{TITLES[quantity]} against sparsity. {'; '.join(parts)}."


def legend(names: Sequence[str], reference: str, columns: int = 8) -> Any:
    """The series with their colours and shapes, for several charts together."""
    table = pd.DataFrame([{"series": name, "x": i} for i, name in enumerate(names)])
    keys = alt.Legend(
        orient="top",
        direction="horizontal",
        columns=columns,
        title=None,
        labelFontSize=13,
        symbolSize=110,
        symbolOpacity=1,
        labelLimit=520,
    )
    chart = (
        alt.Chart(table, height=30 + 26 * math.ceil(len(names) / columns))
        .mark_point(opacity=0, filled=True)
        .encode(
            alt.X("x:Q", axis=None),
            color=alt.Color("series:N", scale=colours(names, reference), legend=keys),
            shape=alt.Shape("series:N", scale=shapes(names, reference), legend=keys),
        )
        .configure_view(stroke=None)
    )
    return described(chart, f"Legend: {', '.join(names)}.")


def beside_dense(rows: Rows, names: Sequence[str], quantity: str, reference: str, floor: float | None) -> Any:
    """A row a method: its dense value as a ring, its sparse one filled; what retraining differs from itself is grey.

    Args:
        rows: series, dense and sparse means, of one quantity.
        names: All series in a fixed order.
        quantity: A key of `TITLES`.
        reference: The series that all are compared with; it has no row.
        floor: Up to where differences are noise; None where nobody knows.
    """
    table = pd.DataFrame(rows, columns=["series", "dense", "sparse"])
    order = [n for n in names if n in set(table["series"])]
    base = alt.Chart(table, height=alt.Step(34), title=_title(quantity)).encode(
        alt.Y("series:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=220))
    )
    colour = alt.Color("series:N", scale=colours(names, reference), legend=None)
    tooltip = [
        "series:N",
        alt.Tooltip("dense:Q", format=".1f"),
        alt.Tooltip("sparse:Q", format=".1f"),
    ]
    title = TITLES[quantity]
    layers: list[Any] = [
        base.mark_rule(strokeWidth=2.5).encode(
            alt.X("dense:Q", title=None), alt.X2("sparse:Q"), color=colour
        ),
        base.mark_point(size=130, filled=False, strokeWidth=2.5, opacity=1).encode(
            alt.X("dense:Q"), color=colour, tooltip=tooltip
        ),
        base.mark_point(size=150, filled=True, opacity=1).encode(
            alt.X("sparse:Q"), color=colour, tooltip=tooltip
        ),
    ]
    if floor is not None:
        band = alt.Chart(pd.DataFrame({"from": [0], "to": [floor]}))
        layers.insert(0, band.mark_rect(color=NOISE, opacity=0.25).encode(alt.X("from:Q"), alt.X2("to:Q")))
    parts = "; ".join(f"{r['series']} {r['dense']:.1f} dense, {r['sparse']:.1f} sparse" for r in rows)
    return described(alt.layer(*layers), f"{title}, dense and sparse. {parts}.")


def schedules(rows: Rows, names: Sequence[str], quantity: str, reference: str) -> Any:
    """The courses of a penalty beside fine-tuning over the weight of the penalty; retraining is the grey band.

    Args:
        rows: series, gamma as text ("" for what has none, drawn across), mean, low, high and seeds.
        names: All series in a fixed order.
        quantity: A key of `TITLES`.
        reference: The series that is drawn as the band.
    """
    table = pd.DataFrame([_bounded(r, quantity) for r in rows])
    own, across = table[table["gamma"] != ""], table[table["gamma"] == ""]
    gammas = sorted(set(own["gamma"]), key=float)
    colour = alt.Color("series:N", scale=colours(names, reference), legend=None)
    shape = alt.Shape("series:N", scale=shapes(names, reference), legend=None)
    y = alt.Y("mean:Q", title=None, scale=_scale(quantity), axis=_values(table, quantity))
    x = alt.X("gamma:N", sort=gammas, title="weight of the penalty, γ", axis=alt.Axis(labelAngle=0))
    offset = alt.XOffset("series:N", sort=list(names), scale=alt.Scale(paddingOuter=0.35))
    everywhere = alt.Chart(across)
    drawn = alt.Chart(own, height=_HEIGHT, title=_title(quantity))
    layers = [
        everywhere.transform_filter(alt.datum.series == reference)
        .mark_rect(color=NOISE, opacity=0.25)
        .encode(alt.Y("low:Q"), alt.Y2("high:Q")),
        everywhere.mark_rule(strokeWidth=2.5).encode(
            y,
            color=colour,
            strokeDash=alt.condition(alt.datum.series == reference, alt.value([1, 0]), alt.value([6, 4])),
            tooltip=_tooltip(quantity)[1:],
        ),
        drawn.mark_rule(strokeWidth=1.5, opacity=0.6).encode(
            x, alt.Y("low:Q"), alt.Y2("high:Q"), xOffset=offset, color=colour
        ),
        drawn.mark_point(size=75, filled=True, opacity=1).encode(
            x,
            y,
            xOffset=offset,
            color=colour,
            shape=shape,
            tooltip=["gamma:N", *_tooltip(quantity)[1:]],
        ),
    ]
    parts = "; ".join(
        f"{r['series']}{' at γ ' + r['gamma'] if r['gamma'] else ''} {r['mean']:.1f}" for r in rows
    )
    return described(alt.layer(*layers), f"{TITLES[quantity]} by schedule of the penalty. {parts}.")


def relative(rows: Rows, names: Sequence[str]) -> Any:
    """Quantities over sparsity as multiples of their dense value, on a logarithmic axis.

    Args:
        rows: series, sparsity (per cent), mean, low and high, all relative to the dense model, and seeds.
        names: All series in a fixed order; the first is what bounds, drawn dashed.
    """
    table = _table(rows, "relative")
    x = alt.X("position:Q", axis=_axis(table), scale=alt.Scale(padding=12), title="sparsity, %")
    y = alt.Y(
        "mean:Q",
        title="relative to the dense model",
        scale=alt.Scale(type="log"),
        axis=_values(table, "seconds"),
    )
    colour = alt.Color("series:N", scale=colours(names, ""), legend=None)
    base = alt.Chart(table, height=330)
    tooltip = ["series:N", alt.Tooltip("sparsity:Q"), alt.Tooltip("mean:Q", format=".3g"), "seeds:Q"]
    dash = alt.condition(alt.datum.series == names[0], alt.value([7, 4]), alt.value([1, 0]))
    layers = [
        base.mark_rule(strokeWidth=1.5, opacity=0.55).encode(
            x, alt.Y("low:Q"), alt.Y2("high:Q"), color=colour
        ),
        base.mark_line(strokeWidth=2.5).encode(x, y, color=colour, strokeDash=dash),
        base.mark_point(size=75, filled=True, opacity=1).encode(
            x,
            y,
            color=colour,
            shape=alt.Shape("series:N", scale=shapes(names, ""), legend=None),
            tooltip=tooltip,
        ),
    ]
    parts = []
    for name in names:
        mine = sorted((r for r in rows if r["series"] == name), key=lambda r: r["sparsity"])
        if mine:
            parts.append(
                f"{name} {mine[-1]['mean']:.3g} times its dense value at {mine[-1]['sparsity']:.4g} %"
            )
    return described(alt.layer(*layers), f"Relative to the dense model: {'; '.join(parts)}.")


def by_layer(layers: Mapping[str, LayerSparsity], whole: float) -> Any:
    """A bar a layer: the share of its weights that are gone, with the share over all layers as a line.

    Args:
        layers: Of a result, in the order of the network.
        whole: Sparsity over all layers, in [0, 1].
    """
    rows = [
        {"layer": n, "weights": v.weights, "kept": v.kept, "gone": 100 * v.sparsity}
        for n, v in layers.items()
    ]
    table = pd.DataFrame(rows, columns=["layer", "weights", "kept", "gone"])
    base = alt.Chart(table, height=alt.Step(22)).encode(
        alt.Y(
            "layer:N", sort=list(layers), title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=220)
        )
    )
    x = alt.X(
        "gone:Q",
        title="weights that are gone, %",
        scale=alt.Scale(domain=[0, 112]),
        axis=alt.Axis(values=[0, 25, 50, 75, 100]),
    )
    bars = base.mark_bar(size=13, color=RETAINED, cornerRadiusEnd=3).encode(
        x,
        tooltip=[
            "layer:N",
            alt.Tooltip("weights:Q", format=","),
            alt.Tooltip("kept:Q", format=","),
            alt.Tooltip("gone:Q", format=".2f"),
        ],
    )
    written = base.mark_text(align="left", dx=5, fontSize=12).encode(x, text=alt.Text("gone:Q", format=".1f"))
    line = alt.Chart(pd.DataFrame({"gone": [100 * whole]})).mark_rule(strokeDash=[5, 4], color=NOISE)
    parts = ", ".join(f"{r['layer']} {r['gone']:.1f} %" for r in rows)
    text = f"Share of weights gone by layer; over all layers {percent(whole)}. {parts}."
    return described(alt.layer(bars, written, line.encode(alt.X("gone:Q"))), text)


def colours(names: Sequence[str], reference: str) -> alt.Scale:
    """A colour for each series; grey for the reference."""
    return alt.Scale(domain=list(names), range=_styles(names, reference, _COLOURS, NOISE))


def shapes(names: Sequence[str], reference: str) -> alt.Scale:
    """A shape for each series; a circle for the reference."""
    return alt.Scale(domain=list(names), range=_styles(names, reference, _SHAPES, "circle"))


def _styles(names: Sequence[str], reference: str, styles: Sequence[str], own: str) -> list[str]:
    others = [n for n in names if n != reference]
    return [own if n == reference else styles[others.index(n) % len(styles)] for n in names]


def _table(rows: Rows, quantity: str) -> pd.DataFrame:
    bounded = [{**_bounded(r, quantity), "position": _position(r["sparsity"])} for r in rows]
    columns = ["series", "sparsity", "position", "mean", "low", "high", "seeds"]
    return pd.DataFrame(bounded, columns=columns)


def _bounded(row: Mapping[str, Any], quantity: str) -> dict[str, Any]:
    """The row with its interval inside what the quantity can be: Student's knows no 0 and no 100 %."""
    low, high = row["low"], row["high"]
    if low is None or high is None:
        return {**row, "low": row["mean"], "high": row["mean"]}
    if quantity in ("seconds", "relative"):
        return {**row, "low": max(low, row["mean"] / 10)}
    return {**row, "low": max(low, 0.0), "high": min(high, 100.0)}


def _position(percent: float) -> float:
    """Where a sparsity stands: one unit for each halving of the weights that are left."""
    return abs(math.log2(1 - min(percent, 99.99) / 100))  # not -0.0 for the dense model


def _axis(table: pd.DataFrame) -> alt.Axis:
    """Ticks at the sparsities that were measured."""
    levels = sorted(set(table["sparsity"]))
    # Those that would be written over each other: the later, sparser one stays.
    labelled = [
        s
        for i, s in enumerate(levels)
        if i + 1 == len(levels) or _position(levels[i + 1]) - _position(s) > 0.3
    ]
    names = ", ".join(f"'{_position(s):.4f}': '{s:.4g}'" for s in labelled)
    return alt.Axis(
        values=[_position(s) for s in labelled],
        labelExpr=f"{{{names}}}[format(datum.value, '.4f')]",
        grid=False,
        labelFlush=False,
    )


def _scale(quantity: str) -> alt.Scale:
    if quantity == "seconds":
        return alt.Scale(type="log")
    return alt.Scale(zero=quantity == "avg_gap", nice=True, padding=6)


def _title(quantity: str) -> alt.TitleParams:
    """The quantity above its chart: beside the axis it wouldn't fit."""
    return alt.TitleParams(TITLES[quantity], anchor="start", fontSize=14)


def _values(table: pd.DataFrame, quantity: str) -> alt.Axis:
    """The axis of a quantity; a logarithmic one with few lines."""
    if quantity != "seconds":
        return alt.Axis(tickCount=5)
    low, high = table["mean"].min(), table["mean"].max()
    steps = [m * 10.0**k for k in range(-4, 7) for m in (1, 3)]
    return alt.Axis(values=[s for s in steps if low / 4 <= s <= high * 4], format="~g")


def _tooltip(quantity: str) -> list[Any]:
    return [
        alt.Tooltip("sparsity:Q", title="sparsity, %", format=".4~g"),
        alt.Tooltip("series:N", title="method"),
        alt.Tooltip("mean:Q", title=TITLES[quantity], format=".2f"),
        alt.Tooltip("low:Q", title="95 % interval from", format=".2f"),
        alt.Tooltip("high:Q", title="to", format=".2f"),
        alt.Tooltip("seeds:Q", title="seeds"),
    ]
