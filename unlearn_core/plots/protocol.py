"""The protocol of a federated run as a diagram that fills with numbers as they become known."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from unlearn_core.plots.colors import ACCENT
from unlearn_core.plots.marks import NOISE, RETAINED, Rows, described
from unlearn_core.words import seconds

Marks = list[dict[str, Any]]

_COLOURS = {"working": ACCENT, "done": RETAINED, "waiting": NOISE}
_MOST_DOTS = 20  # more clients don't fit a box as dots
_SERVER, _CLIENTS = (72, 96), (8, 32)  # lower and upper edge of the boxes, of 108
_LANES = [
    {"x": -0.04, "y": sum(edges) / 2, "text": text, "style": "lane"}
    for text, edges in (("server", _SERVER), ("clients", _CLIENTS))
]
_STYLES: dict[str, dict[str, Any]] = {
    "title": {"fontSize": 16, "fontWeight": "bold"},
    "plain": {"fontSize": 14, "lineBreak": "\n", "lineHeight": 18},
    "lane": {"fontSize": 14, "fontWeight": "bold", "angle": 270},
    "sent": {"fontSize": 14, "align": "left", "lineBreak": "\n", "lineHeight": 18, "dy": -9},
}


def protocol(rows: Rows, clients: int, ink: str) -> alt.LayerChart:
    """Who sends what to whom, step by step from left to right: the server above, the clients below.

    Args:
        rows: From `federation.protocol`.
        clients: How many take part; each is a dot where they fit.
        ink: Colour of what is written.
    """
    boxes = [
        _box(r, edges) for r in rows for edges in (_SERVER, _CLIENTS) if edges == _SERVER or r["clients"]
    ]
    arrows = [_arrow(r, way) for r in rows for way in ("down", "up") if r[way]]
    links = [{"x": r["step"] + 0.95, "x2": r["step"] + 1.05, "y": 84} for r in rows[:-1]]
    dots = [d for r in rows if clients <= _MOST_DOTS for d in _dots(r)]
    texts = [*_LANES, *(t for r in rows for t in _texts(r))]
    x = alt.X("x:Q", scale=alt.Scale(domain=[-0.1, len(rows)], nice=False), axis=None)
    tall = alt.Scale(domain=[0, 108], nice=False)
    at = {"x": x, "y": alt.Y("y:Q", scale=tall, axis=None)}
    colour = alt.Color("colour:N", scale=None)
    shafts = _chart(arrows).mark_rule(strokeWidth=2.5, tooltip=None)
    heads = _chart(arrows).mark_point(shape="triangle-up", filled=True, size=130, opacity=1, tooltip=None)
    layers = [
        _chart(links).mark_rule(strokeWidth=2, color=NOISE, tooltip=None).encode(x2="x2:Q", **at),
        *_boxes(boxes, at),
        shafts.encode(**at, y2="y2:Q", color=colour),
        heads.encode(
            x=x, y=alt.Y("tip:Q", scale=tall, axis=None), color=colour, angle=alt.Angle("angle:Q", scale=None)
        ),
        *_written(texts, at, ink),
    ]
    if dots:
        stroke, fill = alt.Stroke("colour:N", scale=None), alt.Fill("fill:N", scale=None)
        points = _chart(dots).mark_point(size=70, strokeWidth=1.5, opacity=1, tooltip=None)
        layers.append(points.encode(**at, stroke=stroke, fill=fill))
    return described(alt.layer(*layers).properties(height=340), alt_text(rows))


def alt_text(rows: Rows) -> str:
    """How far the protocol is, as a sentence."""
    parts = [f"{r['title']}: {r['clients'] or r['server']}, {r['state']}" for r in rows]
    return f"Protocol between server and clients. {'; '.join(parts)}."


def _chart(rows: Marks) -> alt.Chart:
    return alt.Chart(pd.DataFrame(rows))


def _box(row: Mapping[str, Any], edges: tuple[int, int]) -> dict[str, Any]:
    x, state = row["step"], row["state"]
    return {
        "x": x + 0.05, "x2": x + 0.95, "y": edges[0], "y2": edges[1], "colour": _COLOURS[state], "waits": state == "waiting",
    }  # fmt: skip


def _boxes(boxes: Marks, at: Mapping[str, Any]) -> list[alt.Chart]:
    """Boxes; dashed where the step is still to come."""
    drawn = []
    for waits in (False, True):
        own = [b for b in boxes if b["waits"] == waits]
        dash = [4, 4] if waits else [1, 0]
        mark = _chart(own).mark_rect(
            fillOpacity=0.1, strokeWidth=2, cornerRadius=6, strokeDash=dash, tooltip=None
        )
        fill, stroke = alt.Fill("colour:N", scale=None), alt.Stroke("colour:N", scale=None)
        drawn += [mark.encode(**at, x2="x2:Q", y2="y2:Q", fill=fill, stroke=stroke)] if own else []
    return drawn


def _arrow(row: Mapping[str, Any], way: str) -> dict[str, Any]:
    x = row["step"] + (0.1 if way == "down" else 0.55)
    tip, angle = (37, 180) if way == "down" else (67, 0)
    return {"x": x, "y": 36, "y2": 68, "tip": tip, "angle": angle, "colour": _COLOURS[row["state"]]}


def _dots(row: Mapping[str, Any]) -> Marks:
    """One dot a client in the box of a step: full once it has answered."""
    if not row["clients"]:
        return []
    count, colour = max(1, row["asked"]), _COLOURS[row["state"]]
    gap = min(0.08, 0.8 / count)
    first = row["step"] + 0.5 - gap * (count - 1) / 2
    return [
        {
            "x": first + i * gap, "y": 26, "colour": colour, "fill": colour if i < row["answered"] else "transparent",
        }
        for i in range(count)
    ]  # fmt: skip


def _texts(row: Mapping[str, Any]) -> Marks:
    """Everything that is written in a step: title, what the server does, what is sent, who answered, how long."""
    middle = row["step"] + 0.5
    took = "" if row["seconds"] is None else seconds(row["seconds"])
    texts = [
        {"x": middle, "y": 102, "text": row["title"], "style": "title"},
        {"x": middle, "y": 84 + 3 * row["server"].count("\n"), "text": row["server"], "style": "plain"},
        {"x": row["step"] + 0.15, "y": 52, "text": row["down_text"], "style": "sent"},
        {"x": row["step"] + 0.6, "y": 52, "text": row["up_text"], "style": "sent"},
        {"x": middle, "y": 15, "text": row["clients"], "style": "plain"},
        {"x": middle, "y": 3, "text": took, "style": "plain"},
    ]
    return [t for t in texts if t["text"]]


def _written(texts: Marks, at: Mapping[str, Any], ink: str) -> list[alt.Chart]:
    drawn = []
    for style, options in _STYLES.items():
        own = [t for t in texts if t["style"] == style]
        mark = _chart(own).mark_text(color=ink, baseline="middle", tooltip=None, **options)
        drawn += [mark.encode(**at, text="text:N")] if own else []
    return drawn
