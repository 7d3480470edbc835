"""What a run at work has reported so far, as curves: partial, and no result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unlearn_core.store.runs import RunRecord, RunStore, events

Rows = Sequence[Mapping[str, Any]]

_GROUPS = (
    ("forgotten", "forget_test_accuracy"),
    ("forgotten", "forget_train_accuracy"),
    ("retained", "retain_test_accuracy"),
)


@dataclass(frozen=True)
class Curves:
    """The curves of a run.

    Attributes:
        ladder: Rows of the method's ladder, as `comparison.ladder` gives them; empty until it has one.
        controls: Rows of each control's ladder, by the control's name.
        losses: The loss of the part that is at work, by step.
        loss: The latest loss; None where none is known.
        by_class: The latest test accuracy of each class, shares in [0, 1]; None for a class without images.
    """

    ladder: Rows
    controls: Mapping[str, Rows]
    losses: Rows
    loss: float | None
    by_class: Sequence[float | None]


def curves_of(store: RunStore, record: RunRecord) -> Curves | None:
    """The curves of a run's last attempt; None until it has tested a model."""
    reported = of_attempt(store, record)
    rungs = [
        e["metrics"]
        for e in reported
        if "rung" in e["metrics"] and e["metrics"].get("retain_test_accuracy") is not None
    ]
    if not rungs:
        return None
    method = str(record.request.get("settings", {}).get("method", ""))
    ladders: dict[str, list[dict[str, Any]]] = {}
    for metrics in rungs:
        ladders.setdefault(str(metrics.get("part", method)), []).extend(_rows(metrics))
    ladder = _one_each(ladders.pop(method, []))
    controls = {name: _one_each(rows) for name, rows in ladders.items()}
    progress = record.progress or {"metrics": {}}
    losses = _losses(reported, progress)
    return Curves(ladder, controls, losses, progress["metrics"].get("loss"), rungs[-1].get("per_class", ()))


def accuracy_by_rung(store: RunStore, record: RunRecord) -> dict[str, float]:
    """Test accuracy after each epoch that a run's last attempt has reported, shares in [0, 1]."""
    metrics = (e["metrics"] for e in of_attempt(store, record))
    return {
        m["rung"]: m["test_accuracy"] for m in metrics if "rung" in m and m.get("test_accuracy") is not None
    }


def of_attempt(store: RunStore, record: RunRecord) -> list[dict[str, Any]]:
    """What a run's last attempt has reported, oldest first."""
    return [e for e in events(store.folder(record.id)) if e.get("attempt") == record.attempt]


def _losses(reported: Rows, progress: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The loss of the part that is at work."""
    part, latest = progress["metrics"].get("part"), progress["metrics"].get("loss")
    rows = [
        {"step": e["done"], "loss": e["metrics"]["loss"]}
        for e in reported
        if e["metrics"].get("part") == part and e["metrics"].get("loss") is not None
    ]
    return rows if latest is None else [*rows, {"step": progress["done"], "loss": latest}]


def _rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    shares = ((group, metrics[key]) for group, key in _GROUPS if metrics.get(key) is not None)
    return [
        {
            "step": 0,
            "rung": metrics["rung"],
            "group": group,
            "accuracy": 100 * share,
            "low": 100 * share,
            "high": 100 * share,
            "images": 0,
        }
        for group, share in shares
    ]


def _one_each(rows: Rows) -> list[Mapping[str, Any]]:
    """One row a rung and group: a rung is reported with every batch of the epoch after it."""
    return list({(row["rung"], row["group"]): row for row in rows}.values())
