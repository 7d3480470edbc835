"""The curves of a run at work, from what it has reported."""

import json
from pathlib import Path
from typing import Any

from unlearn_core.running.curves import accuracy_by_rung, curves_of
from unlearn_core.store.runs import RunRecord, RunStore


def reporting(root: Path, *metrics: dict[str, Any]) -> tuple[RunStore, RunRecord]:
    """A run whose first attempt reported these metrics, one a step."""
    store = RunStore(root)
    run = store.create("unlearn", {"settings": {"method": "scrub"}}, "token", "cpu")
    lines = [{"attempt": 0, "stage": "tuning", "done": i + 1, "metrics": m} for i, m in enumerate(metrics)]
    earlier = {"attempt": -1, "stage": "tuning", "done": 9, "metrics": {"rung": "old", "test_accuracy": 0.0}}
    events = "".join(json.dumps(line) + "\n" for line in (earlier, *lines))
    (store.folder(run.id) / "events.jsonl").write_text(events)
    progress = {
        "stage": "tuning",
        "done": len(metrics) + 1,
        "total": 9,
        "metrics": {**metrics[-1], "loss": 0.25},
    }
    (store.folder(run.id) / "progress.json").write_text(json.dumps(progress))
    return store, store.get(run.id)


def rung(name: str, forget: float, retain: float, **more: Any) -> dict[str, Any]:
    return {"rung": name, "forget_test_accuracy": forget, "retain_test_accuracy": retain, **more}


def test_before_the_first_rung_there_are_none(tmp_path: Path) -> None:
    store, run = reporting(tmp_path, {"loss": 1.0})
    assert curves_of(store, run) is None
    assert accuracy_by_rung(store, run) == {}


def test_each_rung_counts_once_by_part_and_the_loss_is_of_the_part_at_work(tmp_path: Path) -> None:
    store, run = reporting(
        tmp_path,
        rung("epoch 1", 0.9, 0.8, part="fine_tune", loss=3.0),
        rung("pruned", 0.5, 0.7, part="scrub", loss=2.0, test_accuracy=0.6),
        rung("pruned", 0.25, 0.75, part="scrub", loss=1.0, test_accuracy=0.7, per_class=[1.0, None]),
    )
    curves = curves_of(store, run)
    assert curves is not None
    points = [(row["rung"], row["group"], row["accuracy"]) for row in curves.ladder]
    assert points == [("pruned", "forgotten", 25.0), ("pruned", "retained", 75.0)]
    assert [row["accuracy"] for row in curves.controls["fine_tune"]] == [90.0, 80.0]
    assert [(row["step"], row["loss"]) for row in curves.losses] == [(2, 2.0), (3, 1.0), (4, 0.25)]
    assert (curves.loss, curves.by_class) == (0.25, [1.0, None])
    assert accuracy_by_rung(store, run) == {"pruned": 0.7}
