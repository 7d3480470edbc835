"""Membership attacks: distributions of scores with a threshold to drag, error rates below, and models beside each other."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unlearn_core.plots.marks import CROSS, FORGOTTEN, NOISE, RETAINED, Rows
from unlearn_core.words import percent

SELECTION = "threshold"
UNSEEN = "#009E73"
_ROW = 58  # pixels
_BAND = 2.2  # height of the error rates, in rows
_GAP = 0.55  # above them
_COLORS = {"forgotten": FORGOTTEN, "retained": RETAINED, "unseen": UNSEEN}
_LINES = ("missed", "false_alarms", "advantage")


@dataclass(frozen=True, eq=False)
class Group:
    """One row of the chart: the scores of one group of images.

    Attributes:
        name: What the group is called; a cross is put before the forget set's.
        kind: `forgotten`, `retained` or `unseen`.
        images: How many there are.
        bins: Rows with `start`, `end`, `share` and `images`.
        stands: Whether the attack is on it; the others are there to compare with and stay pale.
    """

    name: str
    kind: str
    images: int
    bins: Rows
    stands: bool = True


@dataclass(frozen=True)
class Scale:
    """The axis of scores.

    Attributes:
        low: Left end.
        high: Right end.
        ticks: Scores with their names.
        title: What the score is.
    """

    low: float
    high: float
    ticks: Mapping[float, str]
    title: str


def stage(
    groups: Sequence[Group], rates: Rows, scale: Scale, threshold: float, blind: float, ink: str
) -> dict[str, Any]:
    """Histograms of all groups above the error rates, on one axis, with one line through all: the threshold.

    A click or a drag returns `[{"threshold": ...}]` under the selection's name; the line itself follows in the browser. Each
    histogram is scaled to its highest bar. Plain Vega-Lite, as Altair has no name for a selection by dragging.

    Args:
        groups: From top to bottom.
        rates: One row a threshold that can be chosen: `threshold`, `missed`, `false_alarms`, `advantage` as shares, and
            `words`, the threshold as it is written.
        scale: The axis.
        threshold: Where the line stands at first; one of those in `rates`.
        blind: Advantages up to here are chance.
        ink: Colour of lines and texts on the page's ground.
    """
    layout = _Layout(len(groups))
    members = next((_COLORS[g.kind] for g in groups if g.stands and g.kind != "unseen"), ink)
    colors = dict(zip(_LINES, (members, UNSEEN, ink), strict=True))
    at = f"(isValid({SELECTION}.threshold) ? {SELECTION}.threshold[0] : {threshold})"
    bars = [bar for i, group in enumerate(groups) for bar in _bars(group, layout.base(i))]
    layers = [
        _noise(layout, blind, scale),
        _lines_across(layout, scale),
        _bar_layer(bars, 0.4),
        _solid(bars, at),
        *_curves(rates, layout, colors),
        *_named(rates, layout, colors, scale),
        *_handle(rates, layout, threshold, ink),
    ]
    x = {"field": "x", "type": "quantitative", "scale": {"domain": [scale.low, scale.high], "nice": False}}
    y = {"field": "y", "type": "quantitative", "scale": {"domain": [layout.bottom, 0], "nice": False}}
    return {
        "layer": layers,
        "encoding": {"x": {**x, "axis": _score_axis(scale)}, "y": {**y, "axis": _row_axis(groups, layout)}},
        "height": round(layout.bottom * _ROW),
        "config": {"view": {"stroke": None}},
    }


def alt_text(groups: Sequence[Group], threshold: str, missed: float, alarms: float) -> str:
    """What the chart shows, as a sentence; error rates as shares."""
    parts = "; ".join(f"{g.name}: {g.images} images, most at {_peak(g)}" for g in groups if g.bins)
    return (
        f"Distributions of scores. {parts}. At the threshold {threshold} the attack misses {percent(missed, 0)} of the "
        f"members and raises false alarms for {percent(alarms, 0)} of the unseen images."
    )


class _Layout:
    """Where things stand on the y axis, in rows from the top."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.top, self.zero = rows + _GAP, rows + _GAP + _BAND
        self.bottom = self.zero + 0.12

    def base(self, i: int) -> float:
        """The foot of a histogram."""
        return i + 0.96

    def share(self, share: float) -> float:
        """A share on the axis of error rates; below zero it stays at zero."""
        return self.zero - _BAND * max(0.0, share)


def _bars(group: Group, base: float) -> list[dict[str, Any]]:
    most = max((b["share"] for b in group.bins), default=1.0)
    return [
        {
            "x": b["start"],
            "start": b["start"],
            "x2": b["end"],
            "y": base,
            "y2": base - 0.78 * b["share"] / most,
            "color": _COLORS[group.kind],
            "stands": group.stands,
        }
        for b in group.bins
    ]


def _bar_layer(bars: Rows, opacity: float) -> dict[str, Any]:
    return {
        "data": {"values": list(bars)},
        "mark": {"type": "rect", "opacity": opacity},
        "encoding": {
            "x2": {"field": "x2"},
            "y2": {"field": "y2"},
            "color": {"field": "color", "type": "nominal", "scale": None},
        },
    }


def _solid(bars: Rows, at: str) -> dict[str, Any]:
    """What the attack calls members: the part of each bar beyond the threshold."""
    # Vega computes `x` in place, so it must not be made from itself.
    beyond = [
        {"filter": f"datum.stands && datum.x2 > {at}"},
        {"calculate": f"max(datum.start, {at})", "as": "x"},
    ]
    return {**_bar_layer(bars, 0.95), "transform": beyond}


def _noise(layout: _Layout, blind: float, scale: Scale) -> dict[str, Any]:
    row = {"x": scale.low, "x2": scale.high, "y": layout.zero, "y2": layout.share(blind)}
    return {
        "data": {"values": [row]},
        "mark": {"type": "rect", "color": NOISE, "opacity": 0.18},
        "encoding": {"x2": {"field": "x2"}, "y2": {"field": "y2"}},
    }


def _lines_across(layout: _Layout, scale: Scale) -> dict[str, Any]:
    feet = [layout.base(i) for i in range(layout.rows)] + [layout.share(s) for s in (0, 0.5, 1)]
    rows = [{"x": scale.low, "x2": scale.high, "y": y} for y in feet]
    return {
        "data": {"values": rows},
        "mark": {"type": "rule", "color": NOISE, "opacity": 0.45, "strokeWidth": 0.8},
        "encoding": {"x2": {"field": "x2"}},
    }


def _curves(rates: Rows, layout: _Layout, colors: Mapping[str, str]) -> list[dict[str, Any]]:
    layers = []
    for name, color in colors.items():
        rows = [{"x": r["threshold"], "y": layout.share(r[name])} for r in rates]
        mark = {"type": "line", "color": color, "strokeWidth": 3 if name == "advantage" else 1.8}
        dash = {"strokeDash": [6, 3]} if name == "false_alarms" else {}
        layers.append({"data": {"values": rows}, "mark": {**mark, **dash}, "encoding": {}})
    return layers


def _named(rates: Rows, layout: _Layout, colors: Mapping[str, str], scale: Scale) -> list[dict[str, Any]]:
    """The names of the three lines where each is high, and a mark where the attack is at its best."""
    best = max(rates, key=lambda r: float(r["advantage"]))
    align = "right" if best["threshold"] > (scale.low + scale.high) / 2 else "left"
    peak, ink = layout.share(best["advantage"]), colors["advantage"]
    texts = [
        ("missed", scale.high, layout.top, "right", colors["missed"]),
        ("false alarms", scale.low, layout.top, "left", colors["false_alarms"]),
        ("advantage", best["threshold"], peak, align, ink),
    ]
    layers = [
        _text(text, x, y, {"align": align, "dy": -8, "color": color, "fontWeight": "bold"})
        for text, x, y, align, color in texts
    ]
    point = {"type": "point", "shape": "diamond", "size": 90, "filled": True, "color": ink, "opacity": 1}
    spot = {"x": best["threshold"], "y": peak}
    return [*layers, {"data": {"values": [spot]}, "mark": point, "encoding": {}}]


def _handle(rates: Rows, layout: _Layout, threshold: float, ink: str) -> list[dict[str, Any]]:
    """The line, one of as many as there are thresholds; only the chosen one is seen."""
    rows = [{**r, "x": r["threshold"], "y": 0, "y2": layout.bottom} for r in rates]
    # The whole chart takes the pointer: the nearest line is the one that is meant.
    drag = "click, [pointerdown, window:pointerup] > pointermove"
    select = {
        "type": "point",
        "fields": ["threshold"],
        "nearest": True,
        "on": drag,
        "toggle": False,
        "clear": False,
    }
    at_threshold = {"condition": {"param": SELECTION, "empty": False, "value": 1}, "value": 0}
    tooltip = [
        {"field": "words", "type": "nominal", "title": "threshold"},
        *(
            {"field": name, "type": "quantitative", "format": ".1%", "title": name.replace("_", " ")}
            for name in _LINES
        ),
    ]
    return [
        {
            "data": {"values": rows},
            "mark": {"type": "rule", "strokeWidth": 2.5, "color": ink, "cursor": "ew-resize"},
            "params": [{"name": SELECTION, "select": select, "value": [{"threshold": threshold}]}],
            "encoding": {"y2": {"field": "y2"}, "opacity": at_threshold, "tooltip": tooltip},
        },
        {
            "data": {"values": rows},
            "transform": [{"filter": {"param": SELECTION, "empty": False}}],
            "mark": {"type": "text", "dy": -7, "fontWeight": "bold", "color": ink, "fontSize": 13},
            "encoding": {"text": {"field": "words", "type": "nominal"}},
        },
    ]


def _text(text: str, x: float, y: float, mark: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "data": {"values": [{"x": x, "y": y, "text": text}]},
        "mark": {"type": "text", "fontSize": 12, **mark},
        "encoding": {"text": {"field": "text", "type": "nominal"}},
    }


def _score_axis(scale: Scale) -> dict[str, Any]:
    ticks = {t: name for t, name in scale.ticks.items() if scale.low <= t <= scale.high}
    return {
        "title": scale.title,
        "values": list(ticks),
        "labelExpr": _looked_up(ticks),
        "grid": False,
        "labelOverlap": True,
        "orient": "bottom",
    }


def _row_axis(groups: Sequence[Group], layout: _Layout) -> dict[str, Any]:
    names: dict[float, Any] = {
        i + 0.55: [f"{CROSS} {g.name}" if g.kind == "forgotten" else g.name, f"{g.images:,} images"]
        for i, g in enumerate(groups)
    }
    names |= {layout.share(s): percent(s, 0) for s in (0, 0.5, 1)}
    return {
        "title": None,
        "values": list(names),
        "labelExpr": _looked_up(names),
        "labelLimit": 210,
        "grid": False,
        "ticks": False,
        "domain": False,
    }


def _looked_up(names: Mapping[float, Any]) -> str:
    """A Vega expression that gives each place of an axis its name; names are quoted as JSON, which Vega reads as text."""
    places = json.dumps(list(names))
    return f"{json.dumps(list(names.values()))}[indexof({places}, datum.value)]"


def _peak(group: Group) -> str:
    peak = max(group.bins, key=lambda b: float(b["share"]))
    return f"{percent(peak['share'], 0)} in one bar"
