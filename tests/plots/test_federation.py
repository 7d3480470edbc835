"""Charts of federations: every number is there, forgotten classes have their cross, and each says what it shows."""

from typing import Any

import numpy as np
import pytest

from unlearn_core.plots import federation, race
from unlearn_core.plots.protocol import protocol
from unlearn_core.results import federation as rounds

HELD = np.array([[5, 0, 2], [0, 7, 1]])
CLASSES = ('c"at', "dog", "ship")


def data_of(chart: Any) -> list[dict[str, Any]]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_holdings_cross_the_class_to_forget_and_its_carriers() -> None:
    chart = federation.holdings(rounds.holding_rows(HELD, CLASSES, [1]), CLASSES)
    rows = data_of(chart)
    assert {(r["client"], r["class"], r["images"]) for r in rows} == {
        (0, 'c"at', 5), (0, "ship", 2), (1, "✕ dog", 7), (1, "ship", 1),
    }  # fmt: skip
    spec = chart.to_dict()
    shapes = [layer["mark"].get("shape", layer["mark"]["type"]) for layer in spec["layer"]]
    assert shapes == ["circle", "cross"]
    assert "indexof([1], datum.value)" in str(spec)
    assert "1 clients carry a class to forget" in chart.description


def test_many_clients_are_a_heatmap() -> None:
    held = np.full((federation.MOST_BUBBLES + 1, 3), 4)
    spec = federation.holdings(rounds.holding_rows(held, CLASSES, []), CLASSES).to_dict()
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["rect"]


EXCHANGES = [
    {
        "kind": "register",
        "round": 0,
        "bytes_down": {"0": 10, "1": 10},
        "bytes_up": {"0": 5, "1": 5},
        "seconds": 0.5,
    },
    {
        "kind": "stats",
        "round": 0,
        "bytes_down": {"0": 1000, "1": 1000},
        "bytes_up": {"0": 50},
        "seconds": None,
    },
]


def test_the_protocol_shows_each_number_and_how_far_it_is() -> None:
    rows = rounds.protocol("unlearn", EXCHANGES, 2, 3, None, ended=False)
    chart = protocol(rows, 2, "#123456")
    found = data_of(chart)
    texts = {r["text"] for r in found if "text" in r}
    assert {"server", "clients", "question\n20 B", "model\n2 KB", "1 of 2 answered", "0.5 s"} <= texts
    dots = [r for r in found if "fill" in r]
    assert len(dots) == 8  # two clients in each of four steps
    assert sum(d["fill"] != "transparent" for d in dots) == 3  # two registered, one reported
    assert "Read channels: 1 of 2 answered, working" in chart.description
    # One axis spec for all layers: a mix of none and some stops Vega-Lite.
    for layer in chart.to_dict()["layer"]:
        assert layer["encoding"]["y"]["axis"] is None and layer["encoding"]["x"]["axis"] is None


def test_with_many_clients_the_protocol_has_no_dots() -> None:
    rows = rounds.protocol("train", [], 500, 3, None, ended=False)
    assert not [r for r in data_of(protocol(rows, 500, "#123456")) if "fill" in r]


def test_participation_counts_its_states() -> None:
    cells = [
        {"round": 1, "client": c, "state": s, "loss": loss, "bytes_down": 1, "bytes_up": 1}
        for c, (s, loss) in enumerate(
            [("trained", 0.5), ("dropped", None), ("rejected", None), ("not asked", None)]
        )
    ]
    chart = federation.participation(cells)
    assert chart.description == "Training by round and client: 1 trained, 1 dropped, 1 rejected, 1 not asked."


def row(run: str, group: str, accuracy: float, spent: int) -> dict[str, Any]:
    cost = {"rounds": spent, "seconds": 2.0 * spent, "megabytes": 3.0 * spent}
    return {
        "run": run,
        "rung": f"round {spent}",
        "group": group,
        "accuracy": accuracy,
        "low": 0,
        "high": 100,
        **cost,
    }


@pytest.mark.parametrize(
    ("quantity", "end"), [("rounds", "4 rounds"), ("seconds", "8 seconds"), ("megabytes", "12 megabytes")]
)
def test_the_race_is_told_in_the_chosen_cost(quantity: str, end: str) -> None:
    rows = [
        row("Unlearning", "forgotten", 99, 0),
        row("Unlearning", "forgotten", 1, 4),
        row("Retraining", "retained", 9, 2),
    ]
    chart = race.race(rows, quantity)
    assert f"Unlearning, forgotten classes: 99 to 1 % after {end}" in chart.description
    assert chart.to_dict()["layer"][1]["encoding"]["x"]["field"] == quantity


def test_agreements_say_their_numbers_and_leave_out_what_is_unknown() -> None:
    chart = race.agreement_by_class([0.5, None, 1.0], CLASSES, {2}, 0.2)
    assert chart.description == 'Agreement of plans by class: c"at 50 %, ✕ ship 100 %.'
    rows = [{"client": 3, "images": 4, "share": 0.75}, {"client": 5, "images": 0, "share": None}]
    assert (
        race.agreement_of_clients(rows, 0.2).description == "Agreement of each client alone: client 3 75 %."
    )
    course = [{"k": 1, "agreement": 1.0, "hidden": 0.0}, {"k": 50, "agreement": None, "hidden": 1.0}]
    told = race.agreement_over(course, "k", "floor k", 1.0, 0.2)
    assert "1: 100 %." in told.description and "this run" in str(data_of(told))
