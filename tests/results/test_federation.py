"""A federated run as rows: counted by hand, and worded as the numbers say."""

from typing import Any

import numpy as np
import pytest

from unlearn_core.federated import conversation
from unlearn_core.results import federation

HELD = np.array([[5, 0, 2], [0, 7, 1], [0, 3, 0]])
CLASSES = ("cat", "dog", "ship")


def exchange(kind: str, number: int, down: dict[str, int], up: dict[str, int]) -> dict[str, Any]:
    return {"kind": kind, "round": number, "bytes_down": down, "bytes_up": up, "seconds": 0.5}


EXCHANGES = [
    exchange("register", 0, {"0": 10, "1": 10, "2": 10}, {"0": 5, "1": 5, "2": 5}),
    # Client 1 fails at first (an empty answer, "{}") and is asked again.
    exchange("stats", 0, {"0": 100, "1": 100, "2": 100}, {"0": 50, "1": 2, "2": 50}),
    exchange("stats", 0, {"1": 100}, {"1": 50}),
    exchange("train", 1, {"0": 100, "1": 100}, {"0": 90, "1": 2}),
    exchange("train", 2, {"0": 100, "2": 100}, {"0": 90, "2": 90}),
]
EVENTS = [
    {"event": "dropped", "round": 1, "client": "1", "reason": "gone"},
    # In round 2 it was asked a second time, and answered.
    {"event": "dropped", "round": 2, "client": "0", "reason": "gone"},
    {"event": "rejected", "round": 2, "client": "2", "reason": "not finite"},
    {"event": "round failed", "round": 2, "reason": "1 of 2 answers taken."},
]
PLAN = {"groups": [{"layers": ["a", "b"], "channels": [1, 2]}, {"layers": ["c"], "channels": [0]}]}


def test_stages_are_those_that_the_server_reports() -> None:
    assert {kind: stage for stage, kind in federation.STAGES.items()} == conversation._STAGES


def test_holdings_are_counted_and_carriers_marked() -> None:
    rows = federation.holding_rows(HELD, CLASSES, [1])
    assert len(rows) == 9
    assert {r["client"] for r in rows if r["carries"]} == {1, 2}
    assert [r["images"] for r in rows if r["forget"]] == [0, 7, 3]
    assert federation.carrying(HELD, [1]) == [1, 2]  # most first
    assert federation.carrying(HELD, [0, 2]) == [0, 1]


@pytest.mark.parametrize(
    ("forget", "sentence"),
    [
        (
            [1],
            "2 of 3 clients carry “dog”, client 1 most with 7 of 10 images; all of them hold 3 to 8 of the 18",
        ),
        ([], "3 clients hold 3 to 8 of the 18 training images; none of these leaves its client."),
    ],
)
def test_the_sentence_says_who_carries(forget: list[int], sentence: str) -> None:
    assert federation.holding_sentence(HELD, CLASSES, forget).startswith(sentence)


def test_nobody_carries_a_class_without_images() -> None:
    held = np.array([[4, 0], [3, 0]])
    assert federation.holding_sentence(held, ("a", "b"), [1]).endswith("none holds an image of “b”.")


def test_a_finished_protocol_adds_up() -> None:
    rows = {r["kind"]: r for r in federation.protocol("unlearn", EXCHANGES, 3, 2, PLAN, ended=True)}
    assert list(rows) == ["register", "stats", "plan", "train", "evaluate"]
    assert {r["state"] for r in rows.values()} == {"done"}
    assert (rows["stats"]["bytes_down"], rows["stats"]["bytes_up"]) == (400, 152)
    # Whoever was asked twice counts once.
    assert rows["stats"]["clients"] == "3 of 3 answered"
    assert rows["plan"]["server"] == "scores and plans\n5 channels go"
    assert rows["train"]["bytes_up"] == 272 and rows["train"]["title"] == "Fine-tune · 2 rounds"
    assert rows["train"]["clients"] == "2 of 3 answered" and rows["train"]["seconds"] == 1.0
    assert rows["train"]["up_text"] == "weights\n272 B"


@pytest.mark.parametrize(
    ("known", "plan", "states"),
    [
        (0, None, ["waiting"] * 5),
        (1, None, ["working", "waiting", "waiting", "waiting", "waiting"]),
        (3, None, ["done", "working", "waiting", "waiting", "waiting"]),
        (3, PLAN, ["done", "done", "done", "working", "waiting"]),
        (4, PLAN, ["done", "done", "done", "working", "waiting"]),
    ],
)
def test_a_protocol_at_work_says_how_far_it_is(known: int, plan: Any, states: list[str]) -> None:
    rows = federation.protocol("unlearn", EXCHANGES[:known], 3, 2, plan, ended=False)
    assert [r["state"] for r in rows] == states
    if known == 4:
        assert rows[3]["title"] == "Fine-tune · round 1 of 2" and rows[3]["clients"] == "1 of 2 answered"


def test_one_round_is_one_round() -> None:
    titles = {r["kind"]: r["title"] for r in federation.protocol("unlearn", [], 3, 1, None, ended=False)}
    assert titles["train"] == "Fine-tune · 1 round"


def test_training_has_no_plan() -> None:
    kinds = [r["kind"] for r in federation.protocol("retrain", [], 3, 2, None, ended=False)]
    assert kinds == ["register", "train", "evaluate"]


def test_reports_become_exchanges() -> None:
    def told(stage: str, number: int, client: str, **more: Any) -> dict[str, Any]:
        metrics = {
            "round": number,
            "client": client,
            "answered": True,
            "bytes_up": 9,
            "bytes_down": 4,
            **more,
        }
        return {"stage": stage, "done": 1, "total": 3, "metrics": metrics}

    events = [
        {"stage": "reading files", "done": 0, "total": 1, "metrics": {}},
        told("registering clients", 0, "0"),
        told("training at the clients", 1, "0", loss=0.5),
        told("training at the clients", 1, "2", loss=0.25),
        told("training at the clients", 2, "2", loss=0.125),
    ]
    found = federation.heard(events)
    assert [(e["kind"], e["round"], e["bytes_up"], e["asked"]) for e in found] == [
        ("register", 0, {"0": 9}, 3),
        ("train", 1, {"0": 9, "2": 9}, 3),
        ("train", 2, {"2": 9}, 3),
    ]
    assert found[1]["bytes_down"] == {"0": 4, "2": 4}
    assert federation.losses_of(events) == {(1, "0"): 0.5, (1, "2"): 0.25, (2, "2"): 0.125}


def test_a_sum_under_masks_is_at_work_though_no_client_is_heard() -> None:
    events = [{"stage": federation.MASKED, "done": 2, "total": 9, "metrics": {}}]
    rows = federation.protocol("unlearn", federation.heard(events), 3, 2, None, ended=False)
    assert (rows[1]["state"], rows[1]["clients"]) == ("working", "3 clients")


def test_every_round_and_client_has_a_cell() -> None:
    rows = federation.cells(EXCHANGES, EVENTS, 3, {(1, "0"): 0.5, (2, "2"): 9.0})
    states = {(r["round"], r["client"]): r["state"] for r in rows}
    assert states == {
        (1, 0): "trained", (1, 1): "dropped", (1, 2): "not asked",
        (2, 0): "trained", (2, 1): "not asked", (2, 2): "rejected",
    }  # fmt: skip
    # The loss of an update that wasn't taken says nothing.
    assert {(r["round"], r["client"]): r["loss"] for r in rows if r["loss"] is not None} == {(1, 0): 0.5}


def result(retain: list[float], forget: list[float], **more: Any) -> dict[str, Any]:
    ladder = [
        {
            "rung": "original" if i == 0 else f"round {i}",
            "seconds": 2.0 * i,
            "bytes": 1_000_000 * i,
            "retain_test_accuracy": kept,
            "forget_test_accuracy": gone,
        }
        for i, (kept, gone) in enumerate(zip(retain, forget, strict=True))
    ]
    images = {"test": 100, "test_forget": 10}
    before = {"retain_test_accuracy": retain[0]}
    return {"ladder": ladder, "images": images, "before": before, "forget": {"classes": ["dog"]}, **more}


UNLEARNED = result([0.98, 0.90, 0.975, 0.98], [1.0, 0.0, 0.0, 0.0])


def test_rows_of_a_race_hold_all_three_costs() -> None:
    rows = federation.race_rows(UNLEARNED, "Unlearning")
    assert len(rows) == 8
    last = rows[-1]
    assert (last["rounds"], last["seconds"], last["megabytes"], last["group"]) == (3, 6.0, 3.0, "retained")
    assert last["low"] < last["accuracy"] == 98.0 < last["high"]


def test_speed_up_is_to_the_same_kept_accuracy() -> None:
    retrained = result([0.1, 0.5, 0.9, 0.97, 0.976], [0.0] * 5)
    found = federation.speed_up(UNLEARNED, retrained)
    # Unlearning gets there after round 2 (97.5 %, within a point of 98 %), retraining after round 4.
    assert found is not None and found["reached"]
    assert (found["rounds"], found["seconds"], found["bytes"]) == (2.0, 2.0, 2.0)
    assert "after 2 rounds, 4.0 s and 2 MB; retraining needed 4 rounds" in federation.race_sentence(
        UNLEARNED, retrained
    )


def test_a_retraining_that_falls_short_gives_a_lower_bound() -> None:
    retrained = result([0.1, 0.5, 0.9], [0.0] * 3)
    assert "did not reach that in 2 rounds" in federation.race_sentence(UNLEARNED, retrained)
    assert "more than 1.0 times the rounds" in federation.race_sentence(UNLEARNED, retrained)


@pytest.mark.parametrize(("retain", "forget"), [([0.98, 0.96], [1.0, 0.0]), ([0.98, 0.98], [1.0, 0.06])])
def test_without_arrival_there_is_no_speed_up(retain: list[float], forget: list[float]) -> None:
    unlearned = result(retain, forget)
    assert federation.speed_up(unlearned, UNLEARNED) is None
    assert "no speed-up to state" in federation.race_sentence(unlearned, UNLEARNED)
