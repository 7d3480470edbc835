"""Several methods in one chart: the five axes of the sparsity paper, and bars by class."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from unlearn_core.plots.marks import NOISE, Rows, class_axis, described, marked, percent_axis
from unlearn_core.words import listed

MOST_LINES = 6
"""More can't be told apart."""
MOST_CLASSES = 12
AXES = {"ua": "UA", "mia": "MIA efficacy", "ra": "RA", "ta": "TA", "time": "Run time"}

# Okabe and Ito's; 3 or more to the light and to the dark ground where they are the only mark of a line.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#B06A96", "#A87500", "#3E93C9")
_SHAPES = ("circle", "triangle-up", "diamond", "square", "triangle-down", "stroke")
_SOLID, _DASHED = [1, 0], [6, 4]
# Faster than this lies on the rim: a masked logit takes no time and would push all others into the middle.
_FASTEST = 0.01
_HOLE = 0.14
# The corners whose labels stand below them: RA and TA.
_LOWER = (2, 3)
# Longer names don't fit beside each other below the chart.
_LONG_NAME = 24
_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Axis:
    """One axis: what stands at its inner end, what at its rim, and what it says of itself. Time is logarithmic."""

    low: float
    high: float
    label: str
    log: bool = False

    def distance(self, value: float | None) -> float | None:
        """How far out a value lies, in [0, 1]; None where there is none."""
        if value is None:
            return None
        low, high, here = (math.log(max(v, 1e-9)) if self.log else v for v in (self.low, self.high, value))
        return min(1.0, max(0.0, (here - low) / (high - low)))


def axes_of(lines: Rows) -> dict[str, Axis]:
    """The axes that show these lines best, each with its ends in its label.

    Args:
        lines: `ua`, `mia`, `ra`, `ta` in per cent and `time` as a share of retraining's; None for what is unknown.
    """
    by_name = {}
    for name, title in AXES.items():
        known = [float(line[name]) for line in lines if line[name] is not None]
        by_name[name] = _time_axis(known) if name == "time" else _percent_axis(title, known)
    return by_name


def five_axes(lines: Rows) -> alt.LayerChart:
    """A closed line a method over five axes; the retrained model is grey and wide, controls are dashed.

    Args:
        lines: `name`, `kind` (reference, method, control), the measures as in `scales`.
    """
    axes = axes_of(lines)
    rows = [row for line in lines for row in _closed(line, axes)]
    names = [str(line["name"]) for line in lines]
    x = alt.X("x:Q", scale=alt.Scale(domain=[-1.45, 1.45]), axis=None)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[-1.2, 1.4]), axis=None)
    base = alt.Chart(pd.DataFrame(rows)).encode(x, y, color=_colored(lines))
    dash = alt.StrokeDash(
        "name:N",
        legend=None,
        scale=alt.Scale(
            domain=names, range=[_DASHED if line["kind"] == "control" else _SOLID for line in lines]
        ),
    )
    reference = alt.condition("datum.kind == 'reference'", alt.value(6), alt.value(2.2))
    tooltip = [alt.Tooltip(f"{f}:N", title=t) for f, t in (("name", ""), ("axis", ""), ("text", "value"))]
    layers = [
        *_web(axes, x, y),
        base.mark_line().encode(order="order:Q", strokeDash=dash, strokeWidth=reference),
        base.mark_point(size=70, filled=True, opacity=1).encode(shape=_shaped(lines), tooltip=tooltip),
    ]
    return described(alt.layer(*layers).properties(width=420, height=376), axes_alt(lines))


def accuracy_bars(rows: Rows, lines: Rows) -> alt.LayerChart:
    """Bars of test accuracy, a group a class and a bar a method, with 95 % whiskers; forgotten classes have a cross.

    Args:
        rows: `name`, `class`, `forgotten`, and `accuracy`, `low`, `high` in per cent.
        lines: As for `five_axes`, for the same colours.
    """
    table = pd.DataFrame(rows)
    table["label"] = [marked(str(r["class"]), bool(r["forgotten"])) for r in rows]
    names = [str(line["name"]) for line in lines]
    base = alt.Chart(table, height=340).encode(
        alt.X(
            "label:N",
            sort=list(dict.fromkeys(table["label"])),
            axis=class_axis(None, labelAngle=0 if _short(list(table["label"])) else -40, ticks=False),
        ),
        xOffset=alt.XOffset("name:N", sort=names),
    )
    tooltip = [
        alt.Tooltip("name:N", title=""),
        alt.Tooltip("class:N"),
        alt.Tooltip("accuracy:Q", title="test accuracy, %", format=".1f"),
        alt.Tooltip("low:Q", title="95 % interval from", format=".1f"),
        alt.Tooltip("high:Q", title="to", format=".1f"),
        alt.Tooltip("of:N", title="interval"),
    ]
    y = alt.Y("accuracy:Q", scale=alt.Scale(domain=[0, 100]), axis=percent_axis("test accuracy"))
    chart = alt.layer(
        base.mark_bar(cornerRadiusEnd=2).encode(y, color=_colored(lines), tooltip=tooltip),
        base.mark_rule(strokeWidth=1.5, color=NOISE).encode(alt.Y("low:Q"), alt.Y2("high:Q")),
    )
    return described(chart, classes_alt(rows, names))


def telling_classes(rows: Rows, most: int = MOST_CLASSES) -> list[Mapping[str, Any]]:
    """The rows of the forgotten classes, then of those on which the methods differ most; in the model's order."""
    classes = dict.fromkeys(r["class"] for r in rows)
    spread = {c: _spread([r for r in rows if r["class"] == c]) for c in classes}
    widest = set(sorted(classes, key=lambda c: spread[c], reverse=True)[:most])
    return [r for r in rows if r["class"] in widest]


def axes_alt(lines: Rows) -> str:
    """What the five axes show, as a sentence."""
    parts = [f"{line['name']}: {', '.join(_worded(name, line[name]) for name in AXES)}" for line in lines]
    return f"Five axes, {', '.join(AXES.values())} as a share of retraining's. {'; '.join(parts)}."


def classes_alt(rows: Rows, names: Sequence[str]) -> str:
    """What the bars show of the forgotten classes and of the worst other one, as a sentence."""
    parts = []
    for name in names:
        mine = [r for r in rows if r["name"] == name and r["accuracy"] is not None]
        gone = [f"{r['class']} {r['accuracy']:.0f} %" for r in mine if r["forgotten"]]
        worst = min((r for r in mine if not r["forgotten"]), key=lambda r: r["accuracy"], default=None)
        low = f"lowest other {worst['class']} {worst['accuracy']:.0f} %" if worst else ""
        parts.append(f"{name}: {', '.join(filter(None, (f'forgotten {listed(gone)}' if gone else '', low)))}")
    return f"Test accuracy by class. {'; '.join(parts)}."


def _percent_axis(title: str, known: Sequence[float]) -> Axis:
    low, high = min(known, default=0.0), max(known, default=100.0)
    step = 10 if high - low > 10 else 5
    top = min(100.0, step * math.ceil(max(high, step) / step))
    bottom = max(0.0, step * math.floor((low - (high - low) / 4) / step))
    bottom = min(bottom, top - step)
    return Axis(bottom, top, f"{title}: {bottom:g} to {top:g} %")


def _time_axis(known: Sequence[float]) -> Axis:
    slowest, fastest = max([1.0, *known]), max(_FASTEST, min([0.1, *known]))
    fastest = 10 ** math.floor(math.log10(fastest) + 1e-9)
    return Axis(slowest, fastest, f"Run time: {100 * slowest:.0f} to {100 * fastest:.3g} %, log", True)


def _closed(line: Mapping[str, Any], axes: Mapping[str, Axis]) -> list[dict[str, Any]]:
    """The corners of a line, the first one again at its end; an unknown value leaves it open."""
    rows = []
    for order, name in enumerate([*AXES, next(iter(AXES))]):
        distance = axes[name].distance(line[name])
        radius = None if distance is None else _HOLE + (1 - _HOLE) * distance
        where = _at(order, radius) if radius is not None else {"x": None, "y": None}
        rows.append({**where, "order": order, "name": str(line["name"]), "kind": line["kind"], "axis": AXES[name],
                     "text": _worded(name, line[name])})  # fmt: skip
    return rows


def _at(order: int, radius: float) -> dict[str, float]:
    angle = 2 * math.pi * order / len(AXES)
    return {"x": radius * math.sin(angle), "y": radius * math.cos(angle)}


def _web(axes: Mapping[str, Axis], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """The rings, the spokes, and what stands at each rim."""
    corners = range(len(axes) + 1)
    rings = [
        {**_at(k, _HOLE + (1 - _HOLE) * step), "ring": f"ring {step}", "order": k}
        for step in _STEPS
        for k in corners
    ]
    spokes = [
        {**_at(k, r), "ring": f"spoke {k}", "order": o} for k in corners for o, r in enumerate((_HOLE, 1.0))
    ]
    labels = [{**_at(k, 1.04), "text": axes[name].label, "below": k in _LOWER} for k, name in enumerate(AXES)]
    web = alt.Chart(pd.DataFrame([*rings, *spokes])).mark_line(
        strokeWidth=1, color=NOISE, opacity=0.45, interpolate="linear"
    )
    texts = alt.Chart(pd.DataFrame(_wrapped(labels))).mark_text(fontSize=12).encode(x, y, text="text:N")
    return [web.encode(x, y, detail="ring:N", order="order:Q"), texts]


def _wrapped(labels: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A label's title and its range, one under the other, clear of the corner that they belong to."""
    rows = []
    for label in labels:
        title, _, rest = label["text"].partition(": ")
        out = {**label, "x": 1.16 * label["x"]}
        above = (-0.13, -0.24) if label["below"] else (0.24, 0.13)
        rows += [{**out, "text": t, "y": label["y"] + up} for t, up in zip((title, rest), above, strict=True)]
    return rows


def _colored(lines: Rows) -> alt.Color:
    names = [str(line["name"]) for line in lines]
    others = iter(_COLORS)
    range_ = [NOISE if line["kind"] == "reference" else next(others, _COLORS[-1]) for line in lines]
    legend = alt.Legend(
        title=None,
        orient="bottom",
        columns=1 if max(map(len, names), default=0) > _LONG_NAME else 2,
        labelLimit=380,
        symbolStrokeWidth=3,
        symbolSize=110,
        symbolOpacity=1,
        symbolDash=_SOLID,
    )
    return alt.Color("name:N", scale=alt.Scale(domain=names, range=range_), legend=legend)


def _shaped(lines: Rows) -> alt.Shape:
    names = [str(line["name"]) for line in lines]
    shapes = [_SHAPES[i % len(_SHAPES)] for i in range(len(names))]
    return alt.Shape("name:N", scale=alt.Scale(domain=names, range=shapes), legend=None)


def _spread(rows: Rows) -> tuple[bool, float]:
    known = [float(r["accuracy"]) for r in rows if r["accuracy"] is not None]
    return any(r["forgotten"] for r in rows), max(known, default=0.0) - min(known, default=0.0)


def _short(labels: Sequence[str]) -> bool:
    return max(map(len, labels), default=0) * len(dict.fromkeys(labels)) <= 60


def _worded(name: str, value: float | None) -> str:
    if value is None:
        return f"{AXES[name]} unknown"
    return f"{AXES[name]} {100 * value:.3g} %" if name == "time" else f"{AXES[name]} {value:.1f} %"
