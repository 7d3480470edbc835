"""Galleries of small pictures."""

from altair import Chart

from unlearn_core.plots.colors import color_scale
from unlearn_core.plots.gallery import SELECTION, Tile, gallery

TILES = [Tile(10 + i, f"data:{i}", f"tile {i}") for i in range(5)]


def test_tiles_stand_in_reading_order() -> None:
    spec = gallery(TILES, 3, row_height=50)
    assert [(v["key"], v["x"], v["y"]) for v in spec["data"]["values"]] == [
        (10, 0.5, 0.5), (11, 1.5, 0.5), (12, 2.5, 0.5), (13, 0.5, 1.5), (14, 1.5, 1.5),
    ]  # fmt: skip
    assert spec["height"] == 100


def test_selected_and_pinned_tiles_are_framed() -> None:
    values = gallery(TILES, 3, selected=11, pinned=[11, 13])["data"]["values"]
    assert [v["frame"] for v in values] == ["", "selected", "", "pinned", ""]


def test_only_clickable_galleries_select() -> None:
    assert gallery(TILES, 3)["layer"][-1]["params"][0]["name"] == SELECTION
    assert gallery(TILES, 3, clickable=False)["layer"][-1]["params"] == []


def test_what_is_written_by_hand_is_vega_lite() -> None:
    # Altair checks against the schema of Vega-Lite.
    for spec in (gallery(TILES, 3), gallery([], 3, clickable=False), color_scale(0.0, 2.5, "layer a")):
        Chart.from_dict(spec, validate=True)
