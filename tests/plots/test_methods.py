"""Five axes and bars by class: where values stand, and what the charts say of themselves."""

import math
from typing import Any

import pytest

from unlearn_core.plots.marks import NOISE
from unlearn_core.plots.methods import Axis, accuracy_bars, axes_alt, axes_of, five_axes, telling_classes


def line(name: str, kind: str = "method", **values: Any) -> dict[str, Any]:
    usual = {"ua": 100.0, "mia": 100.0, "ra": 99.0, "ta": 95.0, "time": 1.0}
    return {"name": name, "kind": kind, **usual, **values}


LINES = [
    line("Retraining", "reference"),
    line("Fine-tuning", ua=20.0, time=0.1),
    line("Masked logit", "control", time=1e-5),
]


def test_per_cent_axes_hold_all_values_and_say_their_ends() -> None:
    found = axes_of(LINES)
    assert (found["ua"].low, found["ua"].high, found["ua"].label) == (0.0, 100.0, "UA: 0 to 100 %")
    assert (found["ra"].low, found["ra"].high) == (95.0, 100.0)
    assert all(scale.distance(one[n]) is not None for one in LINES for n, scale in found.items())


def test_time_is_logarithmic_and_outwards_is_faster() -> None:
    scale = axes_of(LINES)["time"]
    assert scale.label == "Run time: 100 to 1 %, log"
    assert scale.distance(1.0) == pytest.approx(0.0)
    assert scale.distance(0.1) == pytest.approx(0.5)
    assert scale.distance(1e-5) == 1.0, "faster than 1 % stands at the rim"


def test_slower_than_retraining_is_the_inner_end() -> None:
    scale = axes_of([line("a", time=4.0), line("b", time=0.5)])["time"]
    assert (scale.low, scale.distance(4.0)) == (4.0, pytest.approx(0.0))
    assert 0 < (scale.distance(1.0) or 0) < (scale.distance(0.5) or 0)


@pytest.mark.parametrize("value", [0.0, 3.0, 5.0, 50.0, 99.9, 100.0])
def test_one_value_alone_has_an_axis(value: float) -> None:
    scale = axes_of([line("a", ua=value)])["ua"]
    assert 0 <= scale.low < scale.high <= 100
    assert scale.low <= value <= scale.high


def test_an_unknown_value_has_no_place() -> None:
    assert Axis(0, 1, "x").distance(None) is None
    spec = five_axes([line("a", mia=None)]).to_dict()
    rows = [r for data in spec["datasets"].values() for r in data if r.get("axis") == "MIA efficacy"]
    assert [(r["x"], r["text"]) for r in rows] == [(None, "MIA efficacy unknown")]


def test_the_best_on_every_axis_touches_the_rim_in_a_regular_pentagon() -> None:
    best = line("best", ua=100.0, mia=100.0, ra=100.0, ta=100.0, time=0.01)
    spec = five_axes([best, line("other", ua=0.0, mia=0.0, ra=0.0, ta=0.0, time=1.0)]).to_dict()
    corners = [r for data in spec["datasets"].values() for r in data if r.get("name") == "best"]
    assert len(corners) == 6, "five, and the first one again"
    assert all(math.hypot(r["x"], r["y"]) == pytest.approx(1.0) for r in corners)
    angles = [math.degrees(math.atan2(r["x"], r["y"])) % 360 for r in corners[:5]]
    assert angles == pytest.approx([0, 72, 144, 216, 288])


def test_retraining_is_grey_and_controls_are_dashed() -> None:
    spec = five_axes(LINES).to_dict()
    encoded = [layer["encoding"] for layer in spec["layer"]]
    (dash,) = [e["strokeDash"]["scale"] for e in encoded if "strokeDash" in e]
    assert dict(zip(dash["domain"], dash["range"], strict=True))["Masked logit"] != [1, 0]
    assert dict(zip(dash["domain"], dash["range"], strict=True))["Fine-tuning"] == [1, 0]
    colours = next(e["color"]["scale"] for e in encoded if "strokeDash" in e)
    by_name = dict(zip(colours["domain"], colours["range"], strict=True))
    assert by_name["Retraining"] == NOISE
    assert len(set(by_name.values())) == 3


def test_the_charts_say_what_they_show() -> None:
    text = axes_alt(LINES)
    assert "Fine-tuning: UA 20.0 %, MIA efficacy 100.0 %, RA 99.0 %, TA 95.0 %, Run time 10 %" in text
    assert five_axes(LINES).to_dict()["description"] == text


def bars(name: str, shares: dict[str, float | None]) -> list[dict[str, Any]]:
    return [
        {"name": name, "class": c, "forgotten": c == "cat", "accuracy": a, "low": a, "high": a, "of": "x"}
        for c, a in shares.items()
    ]


def test_bars_mark_the_forgotten_class_and_say_the_worst_other_one() -> None:
    rows = [*bars("Retraining", {"cat": 0.0, "dog": 90.0}), *bars("Fine-tuning", {"cat": 80.0, "dog": 70.0})]
    spec = accuracy_bars(rows, LINES[:2]).to_dict()
    assert {r["label"] for data in spec["datasets"].values() for r in data} == {"✕ cat", "dog"}
    assert "Fine-tuning: forgotten cat 80 %, lowest other dog 70 %" in spec["description"]


def test_of_many_classes_the_forgotten_and_the_most_telling_stay_in_the_models_order() -> None:
    first = {f"c{i:02}": 90.0 for i in range(30)} | {"cat": 0.0}
    second = {**first, "c07": 50.0, "c20": 60.0}
    shown = telling_classes([*bars("a", first), *bars("b", second)], 3)
    assert [r["class"] for r in shown] == ["c07", "c20", "cat"] * 2


def test_a_class_without_images_leaves_a_gap() -> None:
    rows = bars("Retraining", {"cat": None, "dog": 90.0})
    assert "lowest other dog 90 %" in accuracy_bars(rows, LINES[:1]).to_dict()["description"]
