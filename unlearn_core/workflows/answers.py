"""What a model answers on every part of a split, and all that is measured from these answers: nothing is predicted twice."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unlearn_core.attacks.answers import arrays_of, attack_order
from unlearn_core.attacks.mia import Confidences, all_attacks
from unlearn_core.channels.activations import collect, first_per_class, save_stats
from unlearn_core.data.split import ForgetSplit
from unlearn_core.models.classifier import Classifier
from unlearn_core.progress import Progress, Report
from unlearn_core.results import closeness as measures
from unlearn_core.results import evaluation
from unlearn_core.results.evaluation import Predictions
from unlearn_core.store.files import write_npz

COMPARED = ("forget", "retain", "test")
"""Image sets on which a model's answers are compared with those of the retrained one."""

_LOOKED_INTO = 100  # images of each class whose activations are kept


@dataclass(frozen=True)
class Answers:
    """A model's answers; `test` holds the classes to keep, `test_forget` those to forget."""

    retain: Predictions
    forget: Predictions
    test: Predictions
    test_forget: Predictions


def answers_of(model: Classifier, split: ForgetSplit, report: Report) -> Answers:
    """The model's answers on every part of the split."""
    return Answers(
        retain=evaluation.predictions(model, split.retain, report, "evaluating the retain set"),
        forget=evaluation.predictions(model, split.forget, report, "evaluating the forget set"),
        test=evaluation.predictions(model, split.test, report),
        test_forget=evaluation.predictions(model, split.test_forget, report),
    )


def evaluated(answers: Answers, split: ForgetSplit, report: Report) -> dict[str, Any]:
    """The plain evaluation, with the membership attacks under `mia`."""
    tested = evaluation.joined([answers.test, answers.test_forget])
    table = evaluation.tabulate(split, tested, answers.forget.tally(), answers.retain.tally())
    report(Progress("membership attack", 0, 1))
    attacks = all_attacks(
        _in_attack_order(answers.retain),
        answers.forget.confidence,
        _in_attack_order(answers.test),
        answers.test_forget.confidence,
    )
    report(Progress("membership attack", 1, 1))
    return {**evaluation.to_plain(table), "mia": dict(attacks)}


def keep_answers(path: Path, answers: Answers) -> None:
    """Stores what others are to be compared with: the probabilities of every class."""
    arrays = {name: getattr(answers, name).chances for name in COMPARED}
    write_npz(path, {name: a for name, a in arrays.items() if a is not None})


def keep_membership(path: Path, answers: Answers) -> None:
    """Stores what membership attacks look at, image by image, of every part."""
    write_npz(path, arrays_of(vars(answers)))


def keep_predictions(folder: Path, when: str, tested: Predictions) -> None:
    """Stores the answers on the test images, image by image, of the model `before` or `after`."""
    names = ("indices", "labels", "predicted", "confidence")
    write_npz(folder / f"predictions_{when}.npz", {name: getattr(tested, name) for name in names})


def keep_inside(
    folder: Path, when: str, model: Classifier, split: ForgetSplit, answers: Answers, report: Report
) -> None:
    """Stores the answers on the test images, and activations by class, of the model `before` or `after`."""
    keep_predictions(folder, when, evaluation.joined([answers.test, answers.test_forget]))
    sample = [
        s.select(torch.from_numpy(first_per_class(s.labels.numpy(), _LOOKED_INTO)))
        for s in (split.retain, split.forget)
    ]
    parts = [collect(model, images, split.classes, report=report) for images in sample]
    save_stats(parts[0] + parts[1], folder / f"stats_{when}.npz")


def closeness(answers: Answers, path: Path) -> dict[str, dict[str, float]]:
    """Mean JS divergence to stored answers, and the share of images answered alike, on every set that has images."""
    result: dict[str, dict[str, float]] = {"js": {}, "agreement": {}}
    with np.load(path, allow_pickle=False) as stored:
        for name in stored.files:
            mine = getattr(answers, name).chances
            result["js"][name] = measures.js_divergence(mine, stored[name])
            result["agreement"][name] = measures.agreement(mine.argmax(axis=1), stored[name].argmax(axis=1))
    return result


def to_retrain(part: Mapping[str, Any], retrained: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How far a part of a run lies from retraining; None where that is unknown.

    JS divergence and agreement are there only where both models were at hand in the same run.
    """
    if retrained is None:
        return None
    near = part.get("closeness") or {"js": None, "agreement": None}
    gaps = measures.to_retrain(part["evaluation"], retrained["evaluation"])
    return {**gaps, **near, "stored": bool(retrained.get("stored"))}


def _in_attack_order(answered: Predictions) -> Confidences:
    return answered.confidence[attack_order(answered.labels)]
