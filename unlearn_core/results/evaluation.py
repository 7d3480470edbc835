"""What a model still knows: accuracy by class on the test set, and on what it was to forget and to keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from unlearn_core.errors import UnlearnError
from unlearn_core.intervals import Tally
from unlearn_core.progress import Report, silent
from unlearn_core.results.closeness import Measures
from unlearn_core.results.plain import left_out

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
class MembershipAttacks:
    """What an attacker learns of who was trained on; None where there are too few images to say.

    Attributes:
        efficacy: MIA efficacy: share of the forget set that is judged not to have been trained on.
        privacy: Balanced accuracy of the same attack on retained against test images; 0.5 tells nothing.
        loss_attack: Accuracy of telling the forget set from unseen images by loss; 0.5 is ideal.
        loss_attack_against: Which images these are: `test`, or `test_forget`, those of the forgotten classes.
        members: Retained training images that the attack learned from.
        non_members: Test images that it learned from.
    """

    efficacy: float | None = None
    privacy: float | None = None
    loss_attack: float | None = None
    loss_attack_against: str = ""
    members: int = 0
    non_members: int = 0


@dataclass(frozen=True)
class Evaluation:
    """What one model still knows of one split; accuracies are shares in [0, 1], None where there are no images.

    Attributes:
        classes: The K class names.
        forget_classes: Indices of the classes to forget; empty when a random share is forgotten.
        confusion: Test images, true class by answered class, (K, K).
        forget_train: Training images to forget; None where they weren't evaluated.
        retain_train: Training images to keep; None where they weren't evaluated.
        mia: The membership attacks; None where none was made.
        forgotten_before: Indices of classes that the model was made to forget by earlier requests: they are neither to
            forget nor to keep.

    Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 4, of UA,
    RA and TA (unlearning, remaining and testing accuracy).
    """

    classes: tuple[str, ...]
    forget_classes: tuple[int, ...]
    confusion: tuple[tuple[int, ...], ...]
    forget_train: Tally | None = None
    retain_train: Tally | None = None
    mia: MembershipAttacks | None = left_out()
    forgotten_before: tuple[int, ...] = left_out(())

    DERIVED: ClassVar = (
        "test_accuracy",
        "forget_test_accuracy",
        "retain_test_accuracy",
        "per_class",
        "per_class_total",
        "ua",
        "ra",
        "ta",
    )

    def __post_init__(self) -> None:
        """Refuses a table that doesn't fit the classes."""
        k = len(self.classes)
        if len(self.confusion) != k or any(len(row) != k for row in self.confusion):
            raise ValueError(f"the confusion table is not {k} by {k}, as the classes are")
        if not all(0 <= c < k for c in (*self.forget_classes, *self.forgotten_before)):
            raise ValueError(f"a class to forget is none of the {k}")

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """Test images of each class, (K,)."""
        return tuple(self.class_tally(k) for k in range(len(self.classes)))

    @property
    def test_accuracy(self) -> float | None:
        """On all test images."""
        return together(self.tallies).known_share

    @property
    def forget_test_accuracy(self) -> float | None:
        """On the test images of the classes to forget."""
        return self.group_tally(forgotten=True).known_share

    @property
    def retain_test_accuracy(self) -> float | None:
        """On the test images of the classes to keep."""
        return self.group_tally(forgotten=False).known_share

    @property
    def per_class(self) -> tuple[float | None, ...]:
        """On the test images of each class, (K,)."""
        return tuple(tally.known_share for tally in self.tallies)

    @property
    def per_class_total(self) -> tuple[int, ...]:
        """How many test images each class has, (K,)."""
        return tuple(tally.total for tally in self.tallies)

    @property
    def ua(self) -> float | None:
        """Unlearning accuracy: 1 less the accuracy on the training images to forget."""
        return 1 - self.forget_tally.share if self.forget_tally.total else None

    @property
    def ra(self) -> float | None:
        """Remaining accuracy, on the training images to keep."""
        return self.retain_train.known_share if self.retain_train else None

    @property
    def ta(self) -> float | None:
        """Testing accuracy, on the test images of the classes to keep."""
        return self.retain_test_accuracy

    @property
    def measures(self) -> Measures:
        """UA, MIA efficacy, RA and TA."""
        return Measures(self.ua, self.attacks.efficacy, self.ra, self.ta)

    @property
    def attacks(self) -> MembershipAttacks:
        """The membership attacks; without a result where none was made."""
        return self.mia or MembershipAttacks()

    @property
    def is_share(self) -> bool:
        """Whether a random share is forgotten: images to forget, but no class."""
        return not self.forget_classes and self.forget_tally.total > 0

    @property
    def forget_tally(self) -> Tally:
        """The training images to forget; no images where they weren't evaluated."""
        return self.forget_train or Tally(0, 0)

    @property
    def forgotten(self) -> tuple[str, ...]:
        """Names of the classes to forget."""
        return tuple(self.classes[k] for k in self.forget_classes)

    def class_tally(self, k: int) -> Tally:
        """Test images of class k."""
        return Tally(self.confusion[k][k], sum(self.confusion[k]))

    def group_tally(self, forgotten: bool) -> Tally:
        """Test images of the classes to forget, or of those to keep."""
        return together(
            self.class_tally(k) for k in (self.forget_classes if forgotten else self.retained_classes)
        )

    @property
    def retained_classes(self) -> tuple[int, ...]:
        """Indices of the classes to keep, ascending."""
        gone = {*self.forget_classes, *self.forgotten_before}
        return tuple(k for k in range(len(self.classes)) if k not in gone)

    @property
    def before_tally(self) -> Tally:
        """Test images of the classes that were forgotten before."""
        return together(self.class_tally(k) for k in self.forgotten_before)


def together(tallies: Iterable[Tally]) -> Tally:
    """Several tallies as one."""
    counts = list(tallies)
    return Tally(sum(t.correct for t in counts), sum(t.total for t in counts))


def evaluation_of(
    classes: tuple[str, ...],
    forget_classes: tuple[int, ...],
    tested: Predictions,
    forget: Tally | None = None,
    retain: Tally | None = None,
    forgotten_before: tuple[int, ...] = (),
) -> Evaluation:
    """The evaluation that predictions on the test set amount to."""
    k = len(classes)
    counts = np.bincount(tested.labels * k + tested.predicted, minlength=k * k).reshape(k, k)
    confusion = tuple(tuple(row) for row in counts.tolist())
    return Evaluation(classes, forget_classes, confusion, forget, retain, forgotten_before=forgotten_before)


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
    return joined([predictions(model, p, report) for p in (split.test, split.test_forget, split.test_before)])


def tabulate(
    split: ForgetSplit, tested: Predictions, forget: Tally | None = None, retain: Tally | None = None
) -> Evaluation:
    """The evaluation of a split's test set."""
    return evaluation_of(split.classes, split.forget_classes, tested, forget, retain, split.forgotten_before)


def evaluate(model: nn.Module, split: ForgetSplit, report: Report = silent) -> Evaluation:
    """Accuracy on the test set by class, and on the training images to forget and to keep."""
    tested = test_predictions(model, split, report)
    forget = predictions(model, split.forget, report, "evaluating the forget set").tally()
    retain = predictions(model, split.retain, report, "evaluating the retain set").tally()
    return tabulate(split, tested, forget, retain)
