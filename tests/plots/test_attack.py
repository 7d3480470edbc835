"""The attack's charts: every image is in a bar, the line can be dragged, names are text."""

import json
from typing import Any

import numpy as np
import pytest

from unlearn_core.attacks.threshold import attack, histogram, rates, roc, slider_steps
from unlearn_core.plots.attack import SELECTION, Group, Scale, alt_text, stage
from unlearn_core.plots.attack_success import attack_success, few_alarms

MEMBERS, OTHERS = np.array([0.2, 0.9, 0.95]), np.array([0.1, 0.3])
FOUND = attack(MEMBERS, OTHERS)
EDGES = np.linspace(0, 1, 6)
NAME = 'it\'s <b>"$x$"</b>'


def groups() -> list[Group]:
    return [
        Group("Forget set", "forgotten", 3, histogram(MEMBERS, EDGES)),
        Group(NAME, "unseen", 2, histogram(OTHERS, EDGES)),
        Group("Retain set", "retained", 3, histogram(MEMBERS, EDGES), stands=False),
    ]


def chart(threshold: float = 0.9) -> dict[str, Any]:
    steps = slider_steps(0, 1, FOUND.best)
    rows = [{**row, "words": f"{row['threshold']:.2f}"} for row in rates(FOUND, steps)]
    return stage(groups(), rows, Scale(0, 1, {0.0: "0", 0.5: "half"}, "score"), threshold, 0.3, "#123456")


def layers(spec: dict[str, Any], mark: str) -> list[dict[str, Any]]:
    return [layer for layer in spec["layer"] if layer["mark"]["type"] == mark]


def test_bars_hold_the_scores_and_only_those_of_the_attack_turn_solid() -> None:
    bars = next(layer for layer in layers(chart(), "rect") if "transform" in layer)
    rows = bars["data"]["values"]
    assert sum(row["stands"] for row in rows) == len(histogram(MEMBERS, EDGES)) + len(
        histogram(OTHERS, EDGES)
    )
    assert [row["x2"] - row["x"] for row in rows] == pytest.approx([0.2] * len(rows))
    # Each row has its own height, the highest bar 0.78 of it.
    assert max(row["y"] - row["y2"] for row in rows) == pytest.approx(0.78)
    assert SELECTION in bars["transform"][0]["filter"] and "stands" in bars["transform"][0]["filter"]


def test_the_line_is_one_of_the_thresholds_and_can_be_dragged() -> None:
    handle = next(layer for layer in layers(chart(0.9), "rule") if "params" in layer)
    param = handle["params"][0]
    assert param["name"] == SELECTION and param["value"] == [{"threshold": 0.9}]
    assert "pointermove" in param["select"]["on"] and param["select"]["nearest"]
    assert FOUND.best in [row["threshold"] for row in handle["data"]["values"]]


def test_names_are_quoted_and_the_forget_set_has_its_cross() -> None:
    spec = chart()
    expression = spec["encoding"]["y"]["axis"]["labelExpr"]
    names = json.JSONDecoder().raw_decode(expression)[0]
    assert names[:3] == [["✕ Forget set", "3 images"], [NAME, "2 images"], ["Retain set", "3 images"]]
    places = spec["encoding"]["y"]["axis"]["values"]
    assert len(places) == len(names) == 6 and places[0] < places[1] < places[2]


def test_alt_text_says_both_errors() -> None:
    told = alt_text(groups(), "0.90", 1 / 3, 0.0)
    assert "misses 33 % of the members" in told and "false alarms for 0 %" in told
    assert "Forget set: 3 images, most at 67 % in one bar" in told


ROW = {"name": "After", "right": 58.0, "low": 51.0, "high": 65.0, "noise": False, "control": False}


def test_models_are_told_and_noise_is_grey() -> None:
    rows = [
        {**ROW, "reference": False},
        {**ROW, "name": "Before", "noise": True, "reference": False},
        {**ROW, "name": "Retrained", "reference": True},
    ]
    drawn = attack_success(rows)
    assert "After 58 (51 to 65)" in drawn.description
    kinds = {
        row["name"]: row["kind"]
        for found in drawn.to_dict()["datasets"].values()
        for row in found
        if "kind" in row
    }
    assert kinds == {"After": "trace", "Before": "within noise", "Retrained": "retrained"}


def test_few_alarms_draws_every_model_on_logarithmic_axes() -> None:
    rows = [
        {"name": n, **{k: max(v, 0.1) for k, v in r.items()}} for n in ("After", "Before") for r in roc(FOUND)
    ]
    spec = few_alarms(rows, 0.01).to_dict()
    assert "After, Before" in spec["description"]
    lines = spec["layer"][-1]["encoding"]
    assert lines["x"]["scale"]["type"] == lines["y"]["scale"]["type"] == "log"
    assert lines["x"]["scale"]["domain"] == [0.01, 1]
