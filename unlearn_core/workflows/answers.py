"""What a model answers on every part of a split, and all that is measured from these answers: nothing is predicted twice."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

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
from unlearn_core.results.closeness import Closeness, ToRetrain
from unlearn_core.results.evaluation import Evaluation, Predictions
from unlearn_core.results.predictions import save_predictions
from unlearn_core.results.result import MeasuredModel, Part
from unlearn_core.store.files import write_npz

COMPARED = ("forget", "retain", "test")
"""Image sets on which a model's answers are compared with those of the retrained one."""

_LOOKED_INTO = 100  # images of each class whose activations are kept


@dataclass(frozen=True)
class Answers:
    """A model's answers on the classes to keep, those to forget (`test_forget`) and those forgotten before (`test_before`)."""

    retain: Predictions
    forget: Predictions
    test: Predictions
    test_forget: Predictions
    test_before: Predictions

    @property
    def tested(self) -> Predictions:
        """On the whole test set."""
        return evaluation.joined([self.test, self.test_forget, self.test_before])


def answers_of(model: Classifier, split: ForgetSplit, report: Report) -> Answers:
    """The model's answers on every part of the split."""
    return Answers(
        retain=evaluation.predictions(model, split.retain, report, "evaluating the retain set"),
        forget=evaluation.predictions(model, split.forget, report, "evaluating the forget set"),
        test=evaluation.predictions(model, split.test, report),
        test_forget=evaluation.predictions(model, split.test_forget, report),
        test_before=evaluation.predictions(model, split.test_before, report),
    )


def evaluated(answers: Answers, split: ForgetSplit, report: Report) -> Evaluation:
    """The evaluation, with the membership attacks."""
    table = evaluation.tabulate(split, answers.tested, answers.forget.tally(), answers.retain.tally())
    report(Progress("membership attack", 0, 1))
    attacks = all_attacks(
        _in_attack_order(answers.retain),
        answers.forget.confidence,
        _in_attack_order(answers.test),
        answers.test_forget.confidence,
    )
    report(Progress("membership attack", 1, 1))
    return replace(table, mia=attacks)


def keep_answers(path: Path, answers: Answers) -> None:
    """Stores what others are to be compared with: the probabilities of every class."""
    arrays = {name: getattr(answers, name).chances for name in COMPARED}
    write_npz(path, {name: a for name, a in arrays.items() if a is not None})


def keep_membership(path: Path, answers: Answers) -> None:
    """Stores what membership attacks look at, image by image, of every part."""
    write_npz(path, arrays_of(vars(answers)))


def keep_predictions(folder: Path, when: str, tested: Predictions) -> None:
    """Stores the answers on the test images, image by image, of the model `before` or `after`."""
    save_predictions(folder / f"predictions_{when}.npz", tested)


def keep_inside(
    folder: Path, when: str, model: Classifier, split: ForgetSplit, answers: Answers, report: Report
) -> None:
    """Stores the answers on the test images, and activations by class, of the model `before` or `after`."""
    keep_predictions(folder, when, answers.tested)
    sample = [
        s.select(torch.from_numpy(first_per_class(s.labels.numpy(), _LOOKED_INTO)))
        for s in (split.retain, split.forget)
    ]
    parts = [collect(model, images, split.classes, report=report) for images in sample]
    save_stats(parts[0] + parts[1], folder / f"stats_{when}.npz")


def closeness(answers: Answers, path: Path) -> Closeness:
    """Mean JS divergence to stored answers, and the share of images answered alike, by image set."""
    js: dict[str, float | None] = {}
    agreement: dict[str, float | None] = {}
    with np.load(path, allow_pickle=False) as stored:
        for name in stored.files:
            mine = getattr(answers, name).chances
            js[name] = _known(measures.js_divergence(mine, stored[name]))
            agreement[name] = _known(measures.agreement(mine.argmax(axis=1), stored[name].argmax(axis=1)))
    return Closeness(js, agreement)


def to_retrain(model: MeasuredModel, retrained: Part | None) -> ToRetrain | None:
    """How far a model lies from retraining; None where that is unknown.

    JS divergence and agreement are there only where both models were at hand in the same run.
    """
    if retrained is None:
        return None
    gaps = measures.to_retrain(model.evaluation.measures, retrained.evaluation.measures)
    near = vars(model.closeness) if model.closeness else {}
    return replace(gaps, **near, stored=retrained.stored)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _in_attack_order(answered: Predictions) -> Confidences:
    return answered.confidence[attack_order(answered.labels)]
