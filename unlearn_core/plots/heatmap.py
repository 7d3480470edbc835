"""Scores of channels by class as one clickable heatmap."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unlearn_core.channels.ranking import by_score
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


def columns_a_page(num_classes: int) -> int:
    """How many channels fit one heatmap."""
    return max(1, min(_MOST_COLUMNS, MOST_CELLS // max(1, num_classes)))


def heatmap_chart(heatmap: Heatmap, high: float = 0.0) -> alt.LayerChart:
    """Rows are classes, columns channels; a click returns `[{"row": ..., "channel": ...}]` under the selection's name.

    `high` is the scale's upper end, for heatmaps that are to be compared; 0 takes the highest value.
    """
    frame = heatmap_frame(heatmap)
    high = high or float(np.nanmax(heatmap.values, initial=0.0)) or 1.0
    x = alt.X(
        "channel:O", sort=list(heatmap.channels), title="channel", axis=_channel_axis(len(heatmap.channels))
    )
    y = alt.Y("label:N", sort=_row_order(heatmap), title=None, axis=_class_axis(heatmap))
    click = alt.selection_point(name=SELECTION, fields=["row", "channel"], toggle=False)
    cells = (
        alt.Chart(frame)
        .mark_rect()
        .encode(x=x, y=y, color=_color(heatmap.metric, high), tooltip=_tooltip(heatmap.metric))
        .add_params(click)
    )
    marks = [_dead(frame, x, y), _focus_row(frame, y), _pruned(heatmap, frame, x, y), _framed(frame, x, y)]
    height = max(180, min(32, 900 // max(1, len(heatmap.classes))) * (len(heatmap.classes) + 1)) + 80
    return alt.LayerChart(layer=[cells, *[m for m in marks if m is not None]], height=height)


def heatmap_frame(heatmap: Heatmap) -> pd.DataFrame:
    """One row a cell: what the chart draws, and its table."""
    k = len(heatmap.classes)
    channels = list(heatmap.channels)
    values = heatmap.values[:, channels]
    cells = pd.DataFrame(
        {
            "row": np.repeat(np.arange(k), len(channels)),
            "label": np.repeat(_labels(heatmap), len(channels)),
            "class": np.repeat(np.asarray(heatmap.classes, dtype=object), len(channels)),
            "channel": np.tile(channels, k),
            "value": values.ravel(),
        }
    )
    cells["pruned"] = cells["channel"].isin(list(heatmap.pruned))
    cells["dead"] = cells["channel"].isin(list(heatmap.dead))
    cells["focus"] = cells["row"] == heatmap.focus
    cells["framed"] = (cells["row"] == heatmap.cell[0]) & (cells["channel"] == heatmap.cell[1])
    return cells


def heatmap_alt(heatmap: Heatmap, layer: str) -> str:
    """What is to be seen, in a sentence."""
    best = by_score(heatmap.values[heatmap.focus])[0]
    value = heatmap.values[heatmap.focus, best]
    return (
        f"Heatmap of {LABELS[heatmap.metric]} in {layer}: {len(heatmap.classes)} classes by {len(heatmap.channels)} channels, "
        f"sorted by {heatmap.classes[heatmap.focus]}, whose highest channel is {best} with {value:.4g}."
    )


def _labels(heatmap: Heatmap) -> list[str]:
    return [f"✕ {name}" if i in heatmap.forgotten else name for i, name in enumerate(heatmap.classes)]


def _row_order(heatmap: Heatmap) -> list[str]:
    return [*([_CUT_ROW] if heatmap.pruned else []), *_labels(heatmap)]


_CUT_ROW = "would prune"


def _class_axis(heatmap: Heatmap) -> alt.Axis:
    strong = alt.condition(
        f"datum.value === {json.dumps(_labels(heatmap)[heatmap.focus])}",
        alt.value("bold"),
        alt.value("normal"),
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


def _pruned(heatmap: Heatmap, frame: pd.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart | alt.LayerChart | None:
    """Crosses over the channels that go, and the cut line where they stand side by side."""
    gone = [c for c in heatmap.channels if c in heatmap.pruned]
    if not gone:
        return None
    crosses = pd.DataFrame({"channel": gone, "label": _CUT_ROW})
    marks = (
        alt.Chart(crosses).mark_text(text="✕", color=ACCENT, fontSize=11, fontWeight="bold").encode(x=x, y=y)
    )
    if list(heatmap.channels[: len(gone)]) != gone or len(gone) == len(heatmap.channels):
        return marks
    end = alt.X("channel:O", sort=list(heatmap.channels), bandPosition=1)
    line = alt.Chart(crosses.tail(1)).mark_rule(color=ACCENT, strokeWidth=2, strokeDash=[5, 3]).encode(x=end)
    return alt.LayerChart(layer=[marks, line])
