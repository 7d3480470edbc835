"""Many small pictures as one clickable chart."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from unlearn_core.plots.colors import ACCENT, FOCUS

SELECTION = "tile"


@dataclass(frozen=True)
class Tile:
    """One picture of a gallery.

    Attributes:
        key: What a click on it returns.
        uri: The picture as a data URI.
        label: Short text below it.
        hint: What is shown when the pointer rests on it.
    """

    key: int
    uri: str
    label: str
    hint: str = ""


def gallery(
    tiles: Sequence[Tile],
    columns: int,
    *,
    row_height: int = 84,
    selected: int | None = None,
    pinned: Collection[int] = (),
    clickable: bool = True,
) -> dict[str, Any]:
    """The pictures in rows, as a Vega-Lite chart; a click returns `[{"key": ...}]` under the selection's name.

    Plain Vega-Lite: a page redraws half a dozen galleries after a click, and Altair's checks of each took 50 ms.

    Args:
        tiles: In reading order.
        columns: Pictures in a row; the chart is as wide as its container.
        row_height: Pixels.
        selected: The key that is framed.
        pinned: Keys that are framed with dashes.
        clickable: Whether a click means anything.
    """
    rows = max(1, -(-len(tiles) // columns))
    x, y = _position("x", [0, columns]), _position("y", [rows, 0])
    side = {"expr": f"min(width / {columns} - 6, {row_height - 20})"}
    picture = {
        "type": "image",
        "width": side,
        "height": side,
        "yOffset": -8,
        "smooth": False,
        "baseline": "middle",
    }
    room = {"expr": f"width / {columns} - 3"}
    label = {"type": "text", "yOffset": row_height / 2 - 8, "fontSize": 10.5, "limit": room}
    pictures = {"mark": picture, "encoding": {"x": x, "y": y, "url": {"field": "uri", "type": "nominal"}}}
    labels = {"mark": label, "encoding": {"x": x, "y": y, "text": {"field": "label", "type": "nominal"}}}
    click = {"name": SELECTION, "select": {"type": "point", "fields": ["key"], "toggle": False}}
    frames = {**_frames(columns, rows), "params": [click] if clickable else []}
    return {
        "data": {"values": [_row(tile, i, columns, selected, pinned) for i, tile in enumerate(tiles)]},
        "layer": [pictures, labels, frames],
        "height": rows * row_height,
        "padding": {"left": 2, "top": 2, "right": 2, "bottom": 2},
        "config": {"view": {"stroke": None}},
    }


def _position(field: str, domain: Sequence[int]) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "axis": None, "scale": {"domain": domain, "nice": False}}


def _frames(columns: int, rows: int) -> dict[str, Any]:
    kinds = ["", "pinned", "selected"]
    stroke = {"field": "frame", "type": "nominal", "legend": None}
    return {
        "mark": {"type": "rect", "fillOpacity": 0.001, "cornerRadius": 3, "strokeWidth": 2.5},
        "encoding": {
            "x": _position("left", [0, columns]),
            "x2": {"field": "right"},
            "y": _position("top", [rows, 0]),
            "y2": {"field": "bottom"},
            "stroke": {**stroke, "scale": {"domain": kinds, "range": ["transparent", FOCUS, ACCENT]}},
            "strokeDash": {**stroke, "scale": {"domain": kinds, "range": [[1, 0], [4, 3], [1, 0]]}},
            "tooltip": {"field": "hint", "type": "nominal", "title": " "},
        },
    }


def _row(tile: Tile, i: int, columns: int, selected: int | None, pinned: Collection[int]) -> dict[str, Any]:
    x, y = i % columns, i // columns
    return {
        "key": tile.key,
        "uri": tile.uri,
        "label": tile.label,
        "hint": tile.hint or tile.label,
        "x": x + 0.5,
        "y": y + 0.5,
        "left": x + 0.02,
        "right": x + 0.98,
        "top": y + 0.02,
        "bottom": y + 0.98,
        "frame": "selected" if tile.key == selected else "pinned" if tile.key in pinned else "",
    }
