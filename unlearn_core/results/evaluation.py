"""What a model still knows: accuracy by class on the test set, and on what it was to forget and to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.errors import UnlearnError
from unlearn_core.intervals import Tally
from unlearn_core.progress import Report, silent

if TYPE_CHECKING:
    from torch import nn

    from unlearn_core.data.sets import ImageSet
    from unlearn_core.data.split import ForgetSplit


@dataclass(frozen=True)
class Predictions:
    """A model's answers for N images.

    Attributes:
        indices: Positions of the images in the source's test order, (N,).
        labels: True classes, (N,).
        predicted: Answered classes, (N,).
        confidence: Softmax probability of the true class, (N,), in [0, 1].
        chances: Softmax probability of every class, (N, K); None where nobody kept them.
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    chances: NDArray[np.float32] | None = None

    def tally(self) -> Tally:
        """All images together."""
        return Tally(int((self.labels == self.predicted).sum()), len(self.labels))


@dataclass(frozen=True)
class Evaluation:
    """Accuracy of one model on one split.

    Attributes:
        classes: The K class names.
        forget_classes: Indices of the classes to forget; empty when a random share is forgotten.
        confusion: Test images, true class by answered class, (K, K).
        forget_train: Training images to forget; None where they weren't evaluated.
        retain_train: Training images to keep; None where they weren't evaluated.
    """

    classes: tuple[str, ...]
    forget_classes: tuple[int, ...]
    confusion: NDArray[np.int64]
    forget_train: Tally | None = None
    retain_train: Tally | None = None

    def class_tally(self, k: int) -> Tally:
        """Test images of class k."""
        return Tally(int(self.confusion[k, k]), int(self.confusion[k].sum()))

    def group_tally(self, forgotten: bool) -> Tally:
        """Test images of the forgotten classes, or of all others."""
        tallies = [
            self.class_tally(k) for k in range(len(self.classes)) if (k in self.forget_classes) == forgotten
        ]
        return Tally(sum(t.correct for t in tallies), sum(t.total for t in tallies))


def to_plain(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON-ready values, shares in [0, 1], None for what has no images.

    UA, RA and TA are unlearning, remaining and testing accuracy.

    Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 4.
    """
    tallies = [evaluation.class_tally(k) for k in range(len(evaluation.classes))]
    everything = Tally(sum(t.correct for t in tallies), sum(t.total for t in tallies))
    forget, retain = evaluation.forget_train, evaluation.retain_train
    retain_test = _share(evaluation.group_tally(forgotten=False))
    return {
        "classes": list(evaluation.classes),
        "forget_classes": list(evaluation.forget_classes),
        "test_accuracy": _share(everything),
        "forget_test_accuracy": _share(evaluation.group_tally(forgotten=True)),
        "retain_test_accuracy": retain_test,
        "per_class": [_share(t) for t in tallies],
        "per_class_total": [t.total for t in tallies],
        "confusion": evaluation.confusion.tolist(),
        "ua": 1 - forget.share if forget and forget.total else None,
        "ra": _share(retain) if retain else None,
        "ta": retain_test,
        "forget_train": [forget.correct, forget.total] if forget else None,
        "retain_train": [retain.correct, retain.total] if retain else None,
    }


def predictions(
    model: nn.Module, images: ImageSet, report: Report = silent, stage: str = "evaluating"
) -> Predictions:
    """The model's answers for the images, in evaluation mode.

    Raises:
        UnlearnError: They are no finite numbers: the weights have blown up.
    """
    from unlearn_core.models.inference import predict

    labels = images.labels.numpy()
    if not len(images):
        return Predictions(images.indices.numpy(), labels, labels.copy(), np.zeros(0))
    logits = predict(model, images.images, report=report, stage=stage)
    if not logits.isfinite().all():
        raise UnlearnError(
            "The model's answers are no longer finite numbers: the settings moved its weights too far. Take smaller steps "
            "(a lower learning rate or alpha, or more damping) and run again."
        )
    chances = logits.double().softmax(dim=1).numpy()
    return Predictions(
        images.indices.numpy(),
        labels,
        logits.argmax(dim=1).numpy(),
        chances[np.arange(len(labels)), labels],
        chances.astype(np.float32),
    )


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The answers of several image sets as one."""
    return Predictions(
        np.concatenate([p.indices for p in parts]),
        np.concatenate([p.labels for p in parts]),
        np.concatenate([p.predicted for p in parts]),
        np.concatenate([p.confidence for p in parts]),
    )


def test_predictions(model: nn.Module, split: ForgetSplit, report: Report = silent) -> Predictions:
    """The model's answers for the whole test set, forgotten classes last."""
    return joined([predictions(model, split.test, report), predictions(model, split.test_forget, report)])


def tabulate(
    split: ForgetSplit, tested: Predictions, forget: Tally | None = None, retain: Tally | None = None
) -> Evaluation:
    """The evaluation that predictions on the test set amount to."""
    k = len(split.classes)
    confusion = np.bincount(tested.labels * k + tested.predicted, minlength=k * k).reshape(k, k)
    return Evaluation(split.classes, split.forget_classes, confusion, forget, retain)


def evaluate(model: nn.Module, split: ForgetSplit, report: Report = silent) -> Evaluation:
    """Accuracy on the test set by class, and on the training images to forget and to keep."""
    tested = test_predictions(model, split, report)
    forget = predictions(model, split.forget, report, "evaluating the forget set").tally()
    retain = predictions(model, split.retain, report, "evaluating the retain set").tally()
    return tabulate(split, tested, forget, retain)


def tally_of(evaluation: Mapping[str, Any], k: int) -> Tally:
    """Test images of class k, from the plain form of an evaluation."""
    row = evaluation["confusion"][k]
    return Tally(int(row[k]), int(sum(row)))


def _share(tally: Tally) -> float | None:
    return tally.share if tally.total else None
