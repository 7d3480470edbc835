"""Charts about one channel, one image and all layers: valid, and with the numbers they were given."""

import numpy as np

from unlearn_core.plots.channels import activation_bars, layers_chart, probability_bars, ridges

CLASSES = ["cat", 'do"g', "$e$"]


def rows(chart: object) -> list[dict[str, object]]:
    return [row for data in chart.to_dict()["datasets"].values() for row in data]  # type: ignore[attr-defined]


def test_bars_show_the_means_and_the_line_that_idf_counts_above() -> None:
    found = rows(activation_bars(np.array([1.0, 2.0, np.nan]), CLASSES, 1, [0]))
    assert [r.get("mean") for r in found if "mean" in r] == [1.0, 2.0, None]
    assert [r["x"] for r in found if "x" in r] == [1.5]
    assert found[0]["class"] == "✕ cat"


def test_ridges_fill_their_row_at_their_fullest_bin() -> None:
    shares = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    chart = ridges(np.linspace(0, 3, 4), shares, CLASSES, 0, here=99.0)
    bars = [r for r in rows(chart) if r.get("share")]
    assert {(r["class"], r["left"], round(r["base"] - r["top"], 6)) for r in bars} == {  # type: ignore[operator]
        ("cat", 0.0, 0.85), ("cat", 1.0, 0.85), ('do"g', 2.0, 0.85),
    }  # fmt: skip


def test_highest_probabilities_come_first() -> None:
    chart = probability_bars(np.array([0.2, 0.7, 0.1], np.float32), CLASSES, 0, count=2)
    assert [(r["class"], r["text"], r["truth"]) for r in rows(chart)] == [
        ('do"g', "70.0 %", False),
        ("cat", "20.0 %", True),
    ]


def test_layers_are_made_comparable_by_their_width() -> None:
    scores = {"a": np.array([0.5, 0.1]), "b": np.array([0.25, 0.0, 0.0, 0.1])}
    found = {(r["layer"], r["channel"]): r for r in rows(layers_chart(scores, ("a", 1), {"b": (0,)}))}
    assert found["a", 0]["value"] == found["b", 0]["value"] == 1.0
    assert [key for key, r in found.items() if r["state"] == "would prune"] == [("b", 0)]
    assert [key for key, r in found.items() if r["here"]] == [("a", 1)]
