"""How much work a method is, in training steps, from its settings and the size of the data alone.

A training step is a forward pass, a backward pass that costs twice as much, and the update. Answers outside training, a
teacher's among them, are counted by themselves: they gain less from reduced precision than training steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FORWARD = 1 / 3
"""A forward pass inside a training step, as a share of it."""


@dataclass(frozen=True)
class Sizes:
    """What a method works on.

    Attributes:
        retain: Training images that are kept.
        forget: Training images that are forgotten.
        test: Test images.
        classes: Classes.
        parameters: Of the model.
    """

    retain: int
    forget: int
    test: int
    classes: int
    parameters: int = 0


@dataclass(frozen=True)
class Stint:
    """A stretch of like work.

    Attributes:
        images: Images that go through it, over all epochs.
        batch_size: Images at a time.
        steps: What one of them costs, in training steps of the same batch size.
        precision: Arithmetic of these steps.
    """

    images: float
    batch_size: int
    steps: float = 1.0
    precision: str = "auto"


@dataclass(frozen=True)
class Work:
    """What a method does.

    Attributes:
        stints: Work in batches.
        epochs: After how many epochs the test set is answered.
        answers: Images that are answered, or whose activations are read, beside that.
        gradients: Images whose own gradient is computed.
        pairs: Pairs of gradients that are multiplied.
    """

    stints: tuple[Stint, ...] = ()
    epochs: int = 0
    answers: float = 0
    gradients: float = 0
    pairs: float = 0


def stint(images: float, params: Any, steps: float = 1.0) -> Stint:
    """Training on so many images as a recipe says."""
    return Stint(images, params.batch_size, steps, params.precision)


def exact_stint(images: float, params: Any, steps: float = 1.0) -> Stint:
    """Gradients that are wanted themselves, in full precision."""
    return Stint(images, params.batch_size, steps, "float32")


def passes_over(images: Callable[[Sizes], float], steps: float = 1.0) -> Callable[[Any, Sizes], Work]:
    """The work of a recipe's epochs over some of the images.

    Args:
        images: How many they are.
        steps: What one of them costs, in training steps.
    """

    def work(params: Any, sizes: Sizes) -> Work:
        return Work((stint(params.epochs * images(sizes), params, steps),), params.epochs)

    return work


def at_one_stroke(params: Any, sizes: Sizes) -> Work:
    """The work of a method that changes a few weights, or none, and trains nothing."""
    return Work()
