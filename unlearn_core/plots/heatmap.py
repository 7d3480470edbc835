"""Scores of channels by class as one clickable heatmap."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unlearn_core.plots.colors import ACCENT, QUIET, SEQUENTIAL

SELECTION = "cell"
MOST_CELLS = 10_000
"""More cells than this, and a click takes longer than a person waits."""
_MOST_COLUMNS = 128  # narrower columns can't be hit

LABELS = {
    "tf_idf": "TF-IDF score",
    "tf": "TF: share of the layer's activation",
    "idf": "IDF: how few classes use the channel",
    "mean": "mean activation",
}


@dataclass(frozen=True)
class Heatmap:
    """What the heatmap shows.

    Attributes:
        classes: The K class names.
        metric: A key of `LABELS`.
        values: (K, C); NaN for a class without images.
        channels: The channels that are drawn, from left to right.
        focus: The class that sorts the columns.
        forgotten: Classes in the forget basket.
        cell: The class and channel in the frame.
        pruned: Channels that the present ratio prunes.
        dead: Channels that are zero for every class.
    """

    classes: Sequence[str]
    metric: str
    values: NDArray[np.float64]
    channels: Sequence[int]
    focus: int
    forgotten: Collection[int]
    cell: tuple[int, int]
    pruned: Collection[int]
    dead: Collection[int]


def ranked(scores: NDArray[np.float64]) -> list[int]:
    """Channels by one class's scores (C,), highest first, ties to the lower number; NaN is last."""
    return [int(c) for c in np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")]


def columns_a_page(num_classes: int) -> int:
    """How many channels fit one heatmap."""
    return max(1, min(_MOST_COLUMNS, MOST_CELLS // max(1, num_classes)))


def heatmap_chart(shown: Heatmap, high: float = 0.0) -> alt.LayerChart:
    """Rows are classes, columns channels; a click returns `[{"row": ..., "channel": ...}]` under the selection's name.

    `high` is the scale's upper end, for heatmaps that are to be compared; 0 takes the highest value.
    """
    frame = heatmap_frame(shown)
    high = high or float(np.nanmax(shown.values, initial=0.0)) or 1.0
    x = alt.X(
        "channel:O", sort=list(shown.channels), title="channel", axis=_channel_axis(len(shown.channels))
    )
    y = alt.Y("label:N", sort=_row_order(shown), title=None, axis=_class_axis(shown))
    click = alt.selection_point(name=SELECTION, fields=["row", "channel"], toggle=False)
    cells = (
        alt.Chart(frame)
        .mark_rect()
        .encode(x=x, y=y, color=_color(shown.metric, high), tooltip=_tooltip(shown.metric))
        .add_params(click)
    )
    marks = [_dead(frame, x, y), _focus_row(frame, y), _pruned(shown, frame, x, y), _framed(frame, x, y)]
    height = max(180, min(32, 900 // max(1, len(shown.classes))) * (len(shown.classes) + 1)) + 80
    return alt.LayerChart(layer=[cells, *[m for m in marks if m is not None]], height=height)


def heatmap_frame(shown: Heatmap) -> pd.DataFrame:
    """One row a cell: what the chart draws, and its table."""
    k = len(shown.classes)
    channels = list(shown.channels)
    values = shown.values[:, channels]
    cells = pd.DataFrame(
        {
            "row": np.repeat(np.arange(k), len(channels)),
            "label": np.repeat(_labels(shown), len(channels)),
            "class": np.repeat(np.asarray(shown.classes, dtype=object), len(channels)),
            "channel": np.tile(channels, k),
            "value": values.ravel(),
        }
    )
    cells["pruned"] = cells["channel"].isin(list(shown.pruned))
    cells["dead"] = cells["channel"].isin(list(shown.dead))
    cells["focus"] = cells["row"] == shown.focus
    cells["framed"] = (cells["row"] == shown.cell[0]) & (cells["channel"] == shown.cell[1])
    return cells


def heatmap_alt(shown: Heatmap, layer: str) -> str:
    """What is to be seen, in a sentence."""
    best = ranked(shown.values[shown.focus])[0]
    value = shown.values[shown.focus, best]
    return (
        f"Heatmap of {LABELS[shown.metric]} in {layer}: {len(shown.classes)} classes by {len(shown.channels)} channels, "
        f"sorted by {shown.classes[shown.focus]}, whose highest channel is {best} with {value:.4g}."
    )


def _labels(shown: Heatmap) -> list[str]:
    return [f"✕ {name}" if i in shown.forgotten else name for i, name in enumerate(shown.classes)]


def _row_order(shown: Heatmap) -> list[str]:
    return [*([_CUT_ROW] if shown.pruned else []), *_labels(shown)]


_CUT_ROW = "would prune"


def _class_axis(shown: Heatmap) -> alt.Axis:
    strong = alt.condition(
        f"datum.value === {json.dumps(_labels(shown)[shown.focus])}", alt.value("bold"), alt.value("normal")
    )
    return alt.Axis(
        labelLimit=140, labelFontWeight=strong, ticks=False, domain=False, labelFontSize=12, labelPadding=6
    )


def _channel_axis(columns: int) -> alt.Axis:
    return alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=4, ticks=False, domain=False)


def _color(metric: str, high: float) -> alt.Color:
    legend = alt.Legend(
        title=LABELS[metric],
        orient="top",
        direction="horizontal",
        gradientLength=220,
        gradientThickness=10,
        values=[0, high],
        format=".3~g",
        titleLimit=400,
        titleFontWeight="normal",
    )
    return alt.Color("value:Q", scale=alt.Scale(scheme=SEQUENTIAL, domain=[0, high]), legend=legend)  # type: ignore[arg-type]


def _tooltip(metric: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("class:N", title="class"),
        alt.Tooltip("channel:O", title="channel"),
        alt.Tooltip("value:Q", title=LABELS[metric], format=".4~g"),
        alt.Tooltip("pruned:N", title="pruned at this ratio"),
    ]


def _dead(frame: pd.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart | None:
    dead = frame[frame["dead"]]
    return (
        None
        if dead.empty
        else alt.Chart(dead).mark_text(text="╱", color=QUIET, fontSize=13, tooltip=None).encode(x=x, y=y)
    )


def _focus_row(frame: pd.DataFrame, y: alt.Y) -> alt.Chart:
    row = frame[frame["focus"]].head(1)
    return alt.Chart(row).mark_rect(fillOpacity=0, stroke=QUIET, strokeWidth=1.5, tooltip=None).encode(y=y)


def _framed(frame: pd.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart | None:
    cell = frame[frame["framed"]]
    mark = {"fillOpacity": 0, "stroke": ACCENT, "strokeWidth": 3, "tooltip": None}
    return None if cell.empty else alt.Chart(cell).mark_rect(**mark).encode(x=x, y=y)  # type: ignore[arg-type]


def _pruned(shown: Heatmap, frame: pd.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart | alt.LayerChart | None:
    """Crosses over the channels that go, and the cut line where they stand side by side."""
    gone = [c for c in shown.channels if c in shown.pruned]
    if not gone:
        return None
    crosses = pd.DataFrame({"channel": gone, "label": _CUT_ROW})
    marks = (
        alt.Chart(crosses).mark_text(text="✕", color=ACCENT, fontSize=11, fontWeight="bold").encode(x=x, y=y)
    )
    if list(shown.channels[: len(gone)]) != gone or len(gone) == len(shown.channels):
        return marks
    end = alt.X("channel:O", sort=list(shown.channels), bandPosition=1)
    line = alt.Chart(crosses.tail(1)).mark_rule(color=ACCENT, strokeWidth=2, strokeDash=[5, 3]).encode(x=end)
    return alt.LayerChart(layer=[marks, line])
