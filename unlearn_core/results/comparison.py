"""Two models side by side: tables that the charts draw and people download."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats
from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.channels.scoring import tf_idf
from unlearn_core.intervals import Tally, wilson, within_noise
from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.result import Forgetting, Rung, Size
from unlearn_core.unlearning.registry import short_label

Row = dict[str, Any]


def per_class(before: Evaluation, after: Evaluation) -> list[Row]:
    """One row a class: accuracy of both in per cent with 95 % intervals, their difference, and whether it is noise."""
    return [_class_row(before, after, k) for k in range(len(before.classes))]


def ladder(before: Evaluation, rungs: Sequence[Rung]) -> list[Row]:
    """One row a rung and group: accuracy in per cent with its 95 % interval, from the original to the last epoch.

    Forgotten is a class on its test images; of a random share, the training images that it is made of.

    Args:
        before: Of the original model, which says how many images each group has.
        rungs: The ladder.
    """
    rows = []
    for step, rung in enumerate(rungs):
        for forgotten, share, total in (
            (True, rung.forget_test_accuracy, before.group_tally(forgotten=True).total),
            (True, rung.forget_train_accuracy, before.forget_tally.total),
            (False, rung.retain_test_accuracy, before.group_tally(forgotten=False).total),
        ):
            if share is not None:
                rows.append(_rung_row(step, rung.rung, forgotten, share, total))
    return rows


def confusion(before: Evaluation, after: Evaluation) -> list[Row]:
    """One row a cell: images of a true class with an answer, before and after, and shares of the true class's images."""
    classes = before.classes
    counts = [np.array(e.confusion) for e in (before, after)]
    shares = [c / np.maximum(1, c.sum(axis=1, keepdims=True)) for c in counts]
    return [
        {
            "cell": f"{t}-{p}",
            "true": classes[t],
            "answer": classes[p],
            "before": int(counts[0][t, p]),
            "after": int(counts[1][t, p]),
            "before_share": 100 * float(shares[0][t, p]),
            "after_share": 100 * float(shares[1][t, p]),
            "difference": 100 * float(shares[1][t, p] - shares[0][t, p]),
        }
        for t in range(len(classes))
        for p in range(len(classes))
    ]


def destinations(before: Evaluation, after: Evaluation) -> list[Row]:
    """Where the test images of the forgotten classes go: answers before and after, most frequent first."""
    rows: dict[str, Row] = {}
    for cell in confusion(before, after):
        if cell["true"] in before.forgotten:
            answer = cell["answer"]
            row = rows.setdefault(
                answer,
                {"answer": answer, "forgotten": answer in before.forgotten, "before": 0, "after": 0},
            )
            row["before"] += cell["before"]
            row["after"] += cell["after"]
    total = sum(row["after"] for row in rows.values())
    answered = [
        {**row, "share": 100 * row["after"] / max(1, total)}
        for row in rows.values()
        if row["before"] or row["after"]
    ]
    return sorted(answered, key=lambda row: -row["after"])


def same_targets(one: Evaluation, two: Evaluation) -> Evaluation:
    """The first evaluation with the second one's classes to forget: for two models that forgot different ones."""
    return replace(one, forget_classes=two.forget_classes)


def standing(result: Forgetting) -> list[Row]:
    """One row a model: the original, the result, then its controls; forget and retain accuracy with 95 % intervals."""
    rows = [
        _standing_row("Original", result.before, result.size.before, None),
        {
            **_standing_row(short_label(result.method), result.after, result.size.after, result.seconds),
            "main": True,
        },
    ]
    for name, control in result.controls.items():
        label = f"{short_label(name)} (stored)" if control.stored else short_label(name)
        rows.append(
            {**_standing_row(label, control.evaluation, control.size, control.seconds), "control": True}
        )
    return rows


def cuts(plan: PruningPlan) -> list[Row]:
    """One row a layer that loses channels: how many go, how many stay, and whether they are cut out or silenced."""
    return [
        {
            "layer": layer,
            "pruned": len(g.channels),
            "kept": g.size - len(g.channels),
            "size": g.size,
            "how": "cut out" if g.removable else "silenced",
        }
        for g in plan.groups
        for layer in g.layers
    ]


def re_encoded(
    before: ActivationStats, after: ActivationStats, plan: PruningPlan | None, targets: Sequence[int]
) -> list[Row]:
    """Surviving channels whose TF-IDF for a forgotten class rose, the largest rise first.

    A score is a share of its layer, so pruning alone would raise all the others: the scores before are taken among the
    survivors only. `channel` is the index in the unpruned model.
    """
    rows = []
    for layer in after.layers:
        kept = survivors(before.mean(layer).shape[1], after.mean(layer).shape[1], plan, layer)
        if kept is None:
            continue
        old, new = (
            tf_idf(before.mean(layer)[:, kept]),
            tf_idf(after.mean(layer)[:, _places(kept, after, layer)]),
        )
        for k in targets:
            rise = new[k] - old[k]
            rows += [
                _rise(before, after, layer, int(kept[i]), k, old[k, i], new[k, i])
                for i in np.flatnonzero(rise > 0)
            ]
    return sorted(rows, key=lambda row: -row["rise"])


def survivors(
    size_before: int, size_after: int, plan: PruningPlan | None, layer: str
) -> NDArray[np.int64] | None:
    """Channels of the unpruned layer that are still there and alive; None when the plan doesn't explain the sizes."""
    gone = set(plan.channels.get(layer, ())) if plan else set()
    alive = np.array([c for c in range(size_before) if c not in gone], dtype=np.int64)
    return alive if size_after in {size_before, len(alive)} else None


def _places(kept: NDArray[np.int64], after: ActivationStats, layer: str) -> NDArray[np.int64]:
    """Where the survivors stand in the layer after: in their old places if it was only silenced, else closed up."""
    size: int = after.sums[layer].shape[1]
    return kept if size > len(kept) else np.arange(len(kept))


def _rise(
    before: ActivationStats, after: ActivationStats, layer: str, channel: int, k: int, old: float, new: float
) -> Row:
    return {
        "layer": layer,
        "channel": channel,
        "class": before.classes[k],
        "before": float(old),
        "after": float(new),
        "rise": float(new - old),
    }


def _class_row(before: Evaluation, after: Evaluation, k: int) -> Row:
    one, two = before.class_tally(k), after.class_tally(k)
    old, new = wilson(one), wilson(two)
    return {
        "class": before.classes[k],
        "forgotten": k in after.forget_classes,
        "images": two.total,
        "before": 100 * one.share,
        "before_low": 100 * old.low,
        "before_high": 100 * old.high,
        "after": 100 * two.share,
        "after_low": 100 * new.low,
        "after_high": 100 * new.high,
        "difference": 100 * (two.share - one.share),
        "noise": within_noise(one, two),
    }


def _standing_row(name: str, evaluation: Evaluation, size: Size, seconds: float | None) -> Row:
    row: Row = {
        "name": name,
        "control": False,
        "main": False,
        "seconds": seconds,
        "parameters": size.parameters,
    }
    for key, forgotten in (("forgotten", True), ("retained", False)):
        tally = evaluation.group_tally(forgotten)
        ends = wilson(tally)
        there = tally.total > 0
        row |= {
            key: 100 * tally.share if there else None,
            f"{key}_low": 100 * ends.low if there else None,
            f"{key}_high": 100 * ends.high if there else None,
        }
    measures = {name: getattr(evaluation, name) for name in ("ua", "ra", "ta")}
    return row | {name: None if share is None else 100 * share for name, share in measures.items()}


def _rung_row(step: int, rung: str, forgotten: bool, share: float, total: int) -> Row:
    ends = wilson(Tally.nearest(share, total))
    return {
        "step": step,
        "rung": rung,
        "group": "forgotten" if forgotten else "retained",
        "accuracy": 100 * share,
        "low": 100 * ends.low,
        "high": 100 * ends.high,
        "images": total,
    }
