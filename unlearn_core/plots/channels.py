"""Charts about one channel, one image, and all channels of a network."""

import json
from collections.abc import Collection, Iterable, Sequence

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unlearn_core.plots.colors import ACCENT, FOCUS, QUIET
from unlearn_core.words import percent

LAYER_SELECTION = "channel_of_layer"


def activation_bars(
    means: NDArray[np.float64], classes: Sequence[str], focus: int, forgotten: Collection[int] = ()
) -> alt.LayerChart:
    """A channel's mean activation by class (K,), with the line that IDF counts classes above."""
    threshold = float(np.nanmean(means)) if np.isfinite(means).any() else 0.0
    frame = pd.DataFrame(
        {"class": _crossed(classes, forgotten), "mean": means, "focus": np.arange(len(classes)) == focus}
    )
    base = alt.Chart(frame).encode(y=_class_rows(frame["class"]))
    bars = base.mark_bar(cornerRadiusEnd=2, height={"band": 0.7}).encode(
        x=alt.X("mean:Q", title="mean activation", axis=alt.Axis(tickCount=4, grid=False)),
        color=alt.condition("datum.focus", alt.value(FOCUS), alt.value(QUIET)),
        tooltip=[alt.Tooltip("class:N"), alt.Tooltip("mean:Q", format=".4~g", title="mean activation")],
    )
    line = alt.Chart(pd.DataFrame({"x": [threshold], "text": [f"mean over classes {threshold:.3g}"]})).encode(
        x="x:Q"
    )
    rule = line.mark_rule(color=ACCENT, strokeDash=[5, 3], strokeWidth=1.5).encode(
        tooltip=alt.Tooltip("text:N", title=" ")
    )
    return alt.LayerChart(layer=[bars, rule], height=_rows_height(len(classes), 20) + 45)


def ridges(
    edges: NDArray[np.float64],
    shares: NDArray[np.float64],
    classes: Sequence[str],
    focus: int,
    here: float | None = None,
    forgotten: Collection[int] = (),
) -> alt.LayerChart:
    """Histograms of a channel's mean activation over images, one ridge a class, each as high as its fullest bin.

    Args:
        edges: (bins + 1,).
        shares: Of each class's images in each bin, (K, bins), in [0, 1].
        classes: The K class names.
        focus: The class in colour.
        here: The shown image's own mean activation.
        forgotten: Classes in the forget basket.
    """
    k, bins = shares.shape
    heights = shares / np.maximum(shares.max(axis=1, keepdims=True), 1e-12)
    frame = pd.DataFrame(
        {
            "class": np.repeat(np.asarray(_crossed(classes, forgotten), dtype=object), bins),
            "left": np.tile(edges[:-1], k),
            "right": np.tile(edges[1:], k),
            "base": np.repeat(np.arange(k) + 0.95, bins),
            "top": np.repeat(np.arange(k) + 0.95, bins) - 0.85 * heights.ravel(),
            "share": shares.ravel(),
            "focus": np.repeat(np.arange(k) == focus, bins),
        }
    )
    scale = alt.Scale(domain=[k, 0], nice=False)  # in every layer, or Vega-Lite drops them all
    names = f"{json.dumps(_crossed(classes, forgotten))}[floor(datum.value)]"
    axis = alt.Axis(
        values=[i + 0.75 for i in range(k)],
        labelExpr=names,
        labelLimit=110,
        labelOverlap=False,
        ticks=False,
        domain=False,
        grid=False,
    )
    x = alt.X(
        "left:Q",
        title="mean activation of an image",
        axis=alt.Axis(grid=False, tickCount=4),
        scale=alt.Scale(domain=[0, float(edges[-1])], nice=False),
    )
    bars = (
        alt.Chart(frame[frame["share"] > 0])
        .mark_rect()
        .encode(
            x=x,
            x2="right:Q",
            y=alt.Y("top:Q", axis=axis, scale=scale, title=None),
            y2="base:Q",
            color=alt.condition("datum.focus", alt.value(FOCUS), alt.value(QUIET)),
            tooltip=[
                "class:N",
                alt.Tooltip("left:Q", format=".3~g", title="from"),
                alt.Tooltip("right:Q", format=".3~g", title="to"),
                alt.Tooltip("share:Q", format=".1%", title="of its images"),
            ],
        )
    )
    ground = alt.Chart(frame.drop_duplicates("base")).mark_rule(color=QUIET, opacity=0.4)
    layers = [bars, ground.encode(y=alt.Y("base:Q", axis=axis, scale=scale, title=None))]
    if here is not None:
        mark = alt.Chart(pd.DataFrame({"left": [min(here, float(edges[-1]))]})).mark_rule(
            color=ACCENT, strokeWidth=2
        )
        layers.append(mark.encode(x="left:Q"))
    return alt.LayerChart(layer=layers, height=_rows_height(k, 22) + 50).configure_view(stroke=None)


def probability_bars(
    probabilities: NDArray[np.float32], classes: Sequence[str], truth: int | None, count: int = 5
) -> alt.LayerChart:
    """The classes that the model gives the highest probabilities, in percent; the true one in colour."""
    order = np.argsort(-probabilities, kind="stable")[:count]
    frame = pd.DataFrame(
        {
            "class": [classes[i] for i in order],
            "probability": probabilities[order].astype(float),
            "text": [percent(float(probabilities[i])) for i in order],
            "truth": [i == truth for i in order],
        }
    )
    base = alt.Chart(frame).encode(y=_class_rows(frame["class"]))
    bars = base.mark_bar(cornerRadiusEnd=2, height={"band": 0.65}).encode(
        x=alt.X("probability:Q", axis=None, scale=alt.Scale(domain=[0, 1.45])),
        color=alt.condition("datum.truth", alt.value(FOCUS), alt.value(QUIET)),
        tooltip=["class:N", alt.Tooltip("probability:Q", format=".2%")],
    )
    text = base.mark_text(align="left", dx=4, fontSize=11).encode(x=alt.X("probability:Q"), text="text:N")
    return alt.LayerChart(layer=[bars, text], height=24 * len(frame)).configure_view(stroke=None)


def layers_chart(
    by_layer: dict[str, NDArray[np.float64]], selected: tuple[str, int], pruned: dict[str, tuple[int, ...]]
) -> alt.LayerChart:
    """Every channel of every layer as a tick at its score times the layer's channels; a click returns layer and channel.

    TF sums to one within a layer, so narrow layers score higher; the factor makes layers comparable.

    Args:
        by_layer: One class's scores (C,) by layer, in the order of the forward pass.
        selected: The layer and channel in the frame.
        pruned: By layer, the channels that the present ratio prunes.
    """
    parts = [
        pd.DataFrame(
            {
                "layer": layer,
                "channel": np.arange(len(scores)),
                "value": scores * len(scores),
                "state": [
                    "would prune" if c in pruned.get(layer, ()) else "stays" for c in range(len(scores))
                ],
                "here": [(layer, c) == selected for c in range(len(scores))],
            }
        )
        for layer, scores in by_layer.items()
    ]
    frame = pd.concat(parts)
    x = alt.X("layer:N", sort=list(by_layer), title=None, axis=alt.Axis(labelAngle=-45, labelLimit=140))
    y = alt.Y("value:Q", title="score × channels of the layer", axis=alt.Axis(tickCount=5))
    click = alt.selection_point(name=LAYER_SELECTION, fields=["layer", "channel"], toggle=False)
    ticks = (
        alt.Chart(frame)
        .mark_tick(thickness=2.5, size=18)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "state:N",
                scale=alt.Scale(domain=["would prune", "stays"], range=[ACCENT, QUIET]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                "layer:N",
                "channel:O",
                alt.Tooltip("value:Q", format=".3~g", title="score × channels"),
                "state:N",
            ],
        )
        .add_params(click)
    )
    here = (
        alt.Chart(frame[frame["here"]])
        .mark_point(shape="circle", size=140, color=FOCUS, strokeWidth=2.5)
        .encode(x=x, y=y)
    )
    return alt.LayerChart(layer=[ticks, here], height=320)


def _class_rows(names: Iterable[str]) -> alt.Y:
    """One row a class, in this order."""
    axis = alt.Axis(labelLimit=110, labelOverlap=False, ticks=False, domain=False)
    return alt.Y("class:N", sort=list(names), title=None, axis=axis)


def _crossed(classes: Sequence[str], forgotten: Collection[int]) -> list[str]:
    return [f"✕ {name}" if i in forgotten else name for i, name in enumerate(classes)]


def _rows_height(rows: int, each: int) -> int:
    return max(6, min(each, 700 // max(1, rows))) * rows
