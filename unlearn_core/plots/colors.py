"""From values to colours: maps as pictures, overlays, and the scale that says what a colour stands for."""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.plots.tiles import image_uri

SEQUENTIAL = "cividis"
"""Brighter is more, also in grey and for the colour-blind."""

ACCENT = "#D55E00"
"""What is selected."""

QUIET = "#8C8C8C"
"""What is there to compare with."""

FOCUS = "#0072B2"
"""The class in focus."""

_STOPS = (
    "#00224E", "#002D68", "#163770", "#2E416D", "#3F4C6C", "#4E566C", "#5C616E", "#696B71", "#767676",
    "#838179", "#928C78", "#A09875", "#AFA471", "#BFB06B", "#CFBD62", "#DFCA57", "#F0D846", "#FEE838",
)  # fmt: skip

Pixels = NDArray[np.uint8]


def colored(values: NDArray[np.floating], high: float) -> Pixels:
    """Values (H, W) as colours (H, W, 3); 0 and below is the darkest, `high` and above the brightest."""
    shares = np.nan_to_num(values / high if high > 0 else np.zeros_like(values))
    return _table()[np.clip(np.rint(shares * 255), 0, 255).astype(np.uint8)]


def overlay(image: Pixels, values: NDArray[np.floating], high: float) -> Pixels:
    """An image (H, W, 3) in grey, brightened in colour where a map (h, w) is high; at least 128 pixels high.

    The map is enlarged without smoothing: its cells are what the channel knows of the place.
    """
    times = max(1, -(-128 // image.shape[0]))
    base = image.repeat(times, 0).repeat(times, 1)
    rows = np.arange(base.shape[0]) * values.shape[0] // base.shape[0]
    cols = np.arange(base.shape[1]) * values.shape[1] // base.shape[1]
    spread = values[rows][:, cols]
    share = np.clip(spread / high if high > 0 else np.zeros_like(spread), 0, 1)[..., None]
    grey = base.mean(axis=2, keepdims=True) * 0.75
    mixed = grey * (1 - 0.8 * share) + colored(spread, high) * 0.8 * share
    return mixed.astype(np.uint8)


def map_uri(values: NDArray[np.floating], high: float) -> str:
    """A map (H, W) as a PNG data URI, one pixel a cell."""
    return image_uri(colored(values, high))


def color_scale(low: float, high: float, title: str) -> dict[str, Any]:
    """A bar from 0 to `high` in the maps' colours, with the smallest, the zero and the largest value; Vega-Lite."""
    middle, end = {"expr": "width / 2"}, {"expr": "width"}
    ramp = {"type": "image", "x": middle, "y": 9, "width": end, "height": 10, "aspect": False}
    bar = {
        "data": {"values": [{"uri": image_uri(_table()[None])}]},
        "mark": ramp,
        "encoding": {"url": {"field": "uri", "type": "nominal"}},
    }
    texts = [
        _written("left", 0, "0"),
        _written("center", middle, f"{title} · min {low:.3g}"),
        _written("right", end, f"max {high:.3g}"),
    ]
    return {"layer": [bar, *texts], "height": 32, "config": {"view": {"stroke": None}}}


def _written(align: str, x: Any, text: str) -> dict[str, Any]:
    mark = {"type": "text", "align": align, "x": x, "y": 18, "baseline": "top", "fontSize": 11}
    return {"data": {"values": [{"text": text}]}, "mark": mark, "encoding": {"text": {"field": "text"}}}


@functools.cache
def _table() -> Pixels:
    """256 colours between the stops; matplotlib, which has them all, takes half a second to import."""
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in _STOPS], dtype=float)
    places = np.linspace(0, len(stops) - 1, 256)
    mixed = [np.interp(places, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    return np.rint(np.stack(mixed, axis=1)).astype(np.uint8)
