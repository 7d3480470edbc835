"""One attack on several models: how often it is right, and how much it catches at few false alarms."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from unlearn_core.plots.marks import FORGOTTEN, NOISE, RETAINED, Rows, described, percent_axis

_DASHES = ([1, 0], [8, 3], [2, 3], [10, 3, 2, 3], [5, 5], [1, 6])
_COLORS = (FORGOTTEN, RETAINED, "#009E73", NOISE, NOISE, NOISE)


def attack_success(rows: Rows) -> alt.LayerChart:
    """One line a model: how often the attack tells which is which, with its 95 % interval; grey within noise.

    A line at 50 % is guessing; the band is the interval of the retrained model, where there is one.

    Args:
        rows: `name`, `right`, `low` and `high` in per cent, `noise`, `control` and `reference`.
    """
    table = pd.DataFrame([{**r, "kind": _kind(r)} for r in rows])
    scale = alt.Scale(domain=["trace", "within noise", "retrained"], range=[FORGOTTEN, NOISE, RETAINED])
    base = alt.Chart(table, height=alt.Step(34)).encode(
        alt.Y(
            "name:N",
            sort=list(table["name"]),
            title=None,
            axis=alt.Axis(ticks=False, domain=False, labelLimit=220),
        ),
        color=alt.Color("kind:N", scale=scale, legend=None),
        tooltip=[
            alt.Tooltip("name:N", title=""),
            alt.Tooltip("right:Q", title="tells which is which, %", format=".1f"),
            alt.Tooltip("low:Q", title="from", format=".1f"),
            alt.Tooltip("high:Q", title="to", format=".1f"),
            alt.Tooltip("kind:N", title=""),
        ],
    )
    x = alt.X(
        "right:Q",
        scale=alt.Scale(domain=[0, 100]),
        axis=percent_axis("pairs in which the attack tells which is which"),
    )
    dashes = alt.condition("datum.control", alt.value([5, 4]), alt.value([1, 0]))
    shape = alt.Shape(
        "kind:N",
        legend=None,
        scale=alt.Scale(domain=["trace", "within noise", "retrained"], range=["diamond", "circle", "square"]),
    )
    guess = alt.Chart(pd.DataFrame([{"right": 50}])).mark_rule(
        strokeWidth=1.5, strokeDash=[3, 3], color=NOISE
    )
    layers = [
        *_band(rows),
        guess.encode(alt.X("right:Q")),
        base.mark_rule(strokeWidth=3, opacity=0.7).encode(
            alt.X("low:Q"), alt.X2("high:Q"), strokeDash=dashes
        ),
        base.mark_point(filled=True, size=130, opacity=1).encode(x, shape=shape),
        base.mark_text(align="left", dx=10, fontSize=12).encode(
            x=alt.value("width"), text=alt.Text("right:Q", format=".0f")
        ),
    ]
    parts = "; ".join(f"{r['name']} {r['right']:.0f} ({r['low']:.0f} to {r['high']:.0f})" for r in rows)
    return described(
        alt.layer(*layers), f"How often the attack tells which is which, per cent; 50 is guessing. {parts}."
    )


def few_alarms(rows: Rows, mark: float) -> alt.LayerChart:
    """Members caught against false alarms, both on logarithmic axes, a line a model.

    Args:
        rows: `name`, `false_alarms` and `caught` as shares above 0, in the order of the lines.
        mark: The share of false alarms that a line marks.
    """
    table = pd.DataFrame(rows)
    names = list(dict.fromkeys(table["name"]))
    low = float(min(table["false_alarms"].min(), table["caught"].min(), mark))
    x = alt.X("false_alarms:Q", title="false alarms", scale=_log(low), axis=_powers())
    y = alt.Y("caught:Q", title="members caught", scale=_log(low), axis=_powers())
    lines = (
        alt.Chart(table, height=300)
        .mark_line(strokeWidth=2.5, interpolate="step-after")
        .encode(
            x,
            y,
            alt.Color(
                "name:N",
                scale=alt.Scale(domain=names, range=_cycled(_COLORS, len(names))),
                legend=alt.Legend(title=None, orient="top", symbolType="stroke", columns=4),
            ),
            strokeDash=alt.StrokeDash(
                "name:N", scale=alt.Scale(domain=names, range=_cycled(_DASHES, len(names))), legend=None
            ),
            order="false_alarms:Q",
            tooltip=[
                alt.Tooltip("name:N", title=""),
                alt.Tooltip("false_alarms:Q", title="false alarms", format=".2%"),
                alt.Tooltip("caught:Q", title="members caught", format=".2%"),
            ],
        )
    )
    diagonal = pd.DataFrame({"false_alarms": [low, 1.0], "caught": [low, 1.0]})
    guess = alt.Chart(diagonal).mark_line(strokeDash=[3, 3], color=NOISE, strokeWidth=1.5).encode(x, y)
    bar = alt.Chart(pd.DataFrame([{"false_alarms": mark}])).mark_rule(color=NOISE).encode(x)
    return described(
        alt.layer(guess, bar, lines), f"Members caught against false alarms for {', '.join(names)}."
    )


def _band(rows: Rows) -> list[alt.Chart]:
    of_reference = [r for r in rows if r["reference"]]
    if not of_reference:
        return []
    band = alt.Chart(pd.DataFrame(of_reference)).mark_rect(color=RETAINED, opacity=0.12)
    return [band.encode(alt.X("low:Q"), alt.X2("high:Q"))]


def _kind(row: Mapping[str, Any]) -> str:
    return "retrained" if row["reference"] else "within noise" if row["noise"] else "trace"


def _log(low: float) -> alt.Scale:
    return alt.Scale(type="log", domain=[low, 1])


def _powers() -> alt.Axis:
    return alt.Axis(format="~%", values=[0.001, 0.01, 0.1, 1], grid=True)


def _cycled(values: Sequence[Any], count: int) -> list[Any]:
    return [values[i % len(values)] for i in range(count)]
