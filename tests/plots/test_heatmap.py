"""The heatmap of scores, on screen and on paper."""

import io

import numpy as np
import pytest
from PIL import Image

from unlearn_core.plots.heatmap import (
    Heatmap,
    columns_a_page,
    heatmap_alt,
    heatmap_chart,
    heatmap_frame,
)
from unlearn_core.plots.printed import heatmap_png


def shown(**changes: object) -> Heatmap:
    values = np.array([[0.1, 0.3, 0.0, 0.2], [0.4, 0.0, 0.0, 0.1], [np.nan] * 4])
    given = {
        "classes": ["cat", 'do"g', "$e$"], "metric": "tf_idf", "values": values, "channels": [1, 3, 0, 2], "focus": 0,
        "forgotten": [1], "cell": (1, 3), "pruned": [1], "dead": [2],
    }  # fmt: skip
    return Heatmap(**{**given, **changes})  # type: ignore[arg-type]


def test_a_page_holds_at_most_ten_thousand_cells() -> None:
    assert columns_a_page(10) == 128
    assert columns_a_page(100) * 100 <= 10_000
    assert columns_a_page(1_000_000) == 1


def test_every_cell_says_where_it_is_and_what_marks_it() -> None:
    frame = heatmap_frame(shown()).set_index(["row", "channel"])
    assert len(frame) == 12
    assert frame.loc[(0, 3), "value"] == 0.2 and np.isnan(frame.loc[(2, 0), "value"])
    assert frame.loc[(1, 0), "label"] == '✕ do"g'
    assert frame.index[frame["framed"]].tolist() == [(1, 3)]
    assert set(frame.index[frame["dead"]].get_level_values("channel")) == {2}
    assert set(frame.index[frame["pruned"]].get_level_values("channel")) == {1}


@pytest.mark.parametrize("pruned", [[], [1], [1, 3], [3], [0, 1, 2, 3]])
def test_chart_is_valid_whatever_is_pruned(pruned: list[int]) -> None:
    spec = heatmap_chart(shown(pruned=pruned)).to_dict()
    marks = [
        layer.get("mark", {})
        for layer in [*spec["layer"], *(m for n in spec["layer"] for m in n.get("layer", []))]
    ]
    # The cut line stands only where the pruned channels are the left-most ones.
    assert any(mark.get("type") == "rule" for mark in marks) == (pruned in ([1], [1, 3]))


def test_sentence_names_the_highest_channel() -> None:
    assert "sorted by cat, whose highest channel is 1 with 0.3" in heatmap_alt(shown(), "conv1")


def test_paper_version_is_a_picture_and_takes_any_name() -> None:
    with Image.open(io.BytesIO(heatmap_png(shown(), "a $broken title"))) as image:
        assert image.format == "PNG" and image.width > 500
