"""Charts of results: they hold the numbers they were given, say them in words, and mark the forgotten class."""

from typing import Any

import pytest

from unlearn_core.plots.confusion import CELL, confusion, destinations
from unlearn_core.plots.cuts import cuts
from unlearn_core.plots.dumbbell import dumbbell, most_telling
from unlearn_core.plots.figure import result_png
from unlearn_core.plots.forget_retain import forget_retain
from unlearn_core.plots.ladder import ladder, loss, order


def class_row(
    name: str, before: float, after: float, forgotten: bool = False, noise: bool = False
) -> dict[str, Any]:
    bounds = {f"{k}_{end}": v for k, v in (("before", before), ("after", after)) for end in ("low", "high")}
    row = {"class": name, "forgotten": forgotten, "images": 100, "before": before, "after": after, **bounds}
    return {**row, "difference": after - before, "noise": noise}


CLASSES = [
    class_row("cat", 90, 88, noise=True),
    class_row("<b>$x$", 95, 60),
    class_row("ship", 99, 0, forgotten=True),
]


def rung(name: str, group: str, accuracy: float) -> dict[str, Any]:
    return {
        "step": 0,
        "rung": name,
        "group": group,
        "accuracy": accuracy,
        "low": 0.0,
        "high": 100.0,
        "images": 10,
    }


LADDER = [
    rung(n, g, a)
    for n, g, a in (("original", "forgotten", 99), ("pruned", "forgotten", 0), ("pruned", "retained", 80))
]


def data_of(chart: Any) -> list[dict[str, Any]]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_dumbbell_marks_and_describes() -> None:
    chart = dumbbell(CLASSES, "A", "B")
    rows = {r["class"]: r for r in data_of(chart)}
    assert rows["ship"]["label"] == "✕ ship" and rows["cat"]["label"] == "cat"
    assert [rows[c]["kind"] for c in ("cat", "<b>$x$", "ship")] == ["within noise", "changed", "forgotten"]
    assert rows["<b>$x$"]["change"] == "−35.0"
    assert "ship 99 to 0 %" in chart.description and "<b>$x$ −35" in chart.description


def test_most_telling_keeps_the_forgotten_and_the_order() -> None:
    many = [class_row(f"c{i}", 90, 90 - i) for i in range(40)] + [class_row("gone", 90, 89, forgotten=True)]
    chosen = [r["class"] for r in most_telling(many, 5)]
    assert chosen == ["c36", "c37", "c38", "c39", "gone"]


def test_rungs_stand_in_the_order_of_the_run() -> None:
    assert order(["epoch 10", "epoch 2", "pruned"], ["original"]) == [
        "original",
        "pruned",
        "epoch 2",
        "epoch 10",
    ]


def test_ladder_says_its_course_and_dashes_controls() -> None:
    chart = ladder(LADDER, {"Random": [rung("epoch 1", "forgotten", 84.0)]})
    assert "forgotten classes: original 99 %, pruned 0 %" in chart.description
    assert {r["control"] for r in data_of(chart) if "control" in r} == {"Random"}


def test_loss_of_nothing_and_of_something() -> None:
    assert "now 0.5" in loss([{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}]).description


CELLS = [
    {
        "cell": f"{t}-{p}",
        "true": t,
        "answer": p,
        "before": 5,
        "after": 6,
        "before_share": 50.0,
        "after_share": 60.0,
        "difference": 10.0,
    }
    for t in "ab"
    for p in "ab"
]


@pytest.mark.parametrize("value", ["before_share", "after_share", "difference"])
def test_confusion_cells_can_be_clicked(value: str) -> None:
    spec = confusion(CELLS, value, ["b"], "a-b").to_dict()
    assert [p["name"] for p in spec["params"] if p["name"] == CELL]
    assert spec["params"][0]["select"]["fields"] == ["cell"]
    rows = [row for found in spec["datasets"].values() for row in found]
    assert {r["from"] for r in rows} == {"a", "✕ b"}
    assert [r["cell"] for r in rows if r["selected"]] == ["a-b"]


def test_destinations_say_where_most_go() -> None:
    rows = [{"answer": "cat", "forgotten": False, "before": 0, "after": 30, "share": 75.0}]
    rows += [{"answer": "ship", "forgotten": True, "before": 40, "after": 10, "share": 25.0}]
    assert "most go to cat (75 %)" in destinations(rows).description


def test_cuts_and_standing_describe_themselves() -> None:
    layers = [{"layer": "a", "pruned": 3, "kept": 5, "size": 8, "how": "silenced"}]
    assert "3 of 8 in 1 layers" in cuts(layers).description
    row = {"name": "TF-IDF", "control": False, "main": True, "forgotten": 0.0, "retained": 98.0}
    row |= {f"{k}_{end}": 1.0 for k in ("forgotten", "retained") for end in ("low", "high")}
    assert "TF-IDF: 0 % and 98 %" in forget_retain([row]).description


def test_the_picture_is_a_png_whatever_names_hold() -> None:
    assert result_png("took “$x$” to 0 %", LADDER, CLASSES)[:8] == b"\x89PNG\r\n\x1a\n"
