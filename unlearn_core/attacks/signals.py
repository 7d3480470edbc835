"""What membership attacks look at: one number for each image, higher where the model seems to know it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unlearn_core.attacks.answers import ModelAnswers, PartAnswers, Values

_SMALLEST = 1e-38  # its logarithm is the lowest that a model's answers reach


@dataclass(frozen=True)
class Signal:
    """What an attack looks at, one number an image; it is higher for images that the model seems to know.

    Attributes:
        name: Its key in `SIGNALS`.
        label: What a page calls it.
        about: One sentence.
        of: The number of each image, (N,), finite.
        text: A number as people read it.
        rough_text: The same with fewer digits.
        ticks: Numbers that an axis names.
        limits: Beyond, a chart shows all numbers at its edge.
    """

    name: str
    label: str
    about: str
    of: Callable[[PartAnswers], Values]
    text: Callable[[float], str]
    rough_text: Callable[[float], str]
    ticks: tuple[float, ...]
    limits: tuple[float, float]


def confidence_text(margin: float, more: int = 1) -> str:
    """A margin as the confidence in per cent, with as many digits as tell it from 0 and from 100."""
    rest = 1 / (1 + math.exp(min(abs(margin), 700.0)))
    digits = max(0, math.ceil(-math.log10(max(rest, 1e-300)) - 2 - 1e-9)) + more
    return f"{100 * (1 - rest if margin > 0 else rest):.{min(digits, 12)}f} %"


def _margin(share: float) -> float:
    return math.log(share / (1 - share))


_NINES = (1e-6, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 1 - 1e-4, 1 - 1e-6)
_ALL = (
    Signal(
        "confidence",
        "Confidence",
        "Probability that the model gives to the true class; models are surer of images that they were trained on.",
        lambda part: part.margin,
        lambda margin: confidence_text(margin, 2),
        lambda margin: confidence_text(margin, 0),
        tuple(_margin(share) for share in _NINES),
        (-16.0, 16.0),
    ),
    Signal(
        "entropy",
        "Modified entropy",
        "Entropy of the whole answer that knows the true class: near 0 for a sure right answer, large for a sure wrong one.",
        lambda part: -np.log10(np.maximum(part.entropy, _SMALLEST)),
        lambda value: f"{10**-value:.3g}",
        lambda value: f"{10**-value:.1g}",
        tuple(float(power) for power in range(-2, 15, 2)),
        (-2.5, 14.0),
    ),
    Signal(
        "loss",
        "Loss",
        "Cross-entropy of the true class. It orders images as the confidence does, so that both attacks decide alike.",
        lambda part: -np.log10(np.maximum(np.logaddexp(0.0, -part.margin), _SMALLEST)),
        lambda value: f"{10**-value:.3g}",
        lambda value: f"{10**-value:.1g}",
        tuple(float(power) for power in range(-2, 9)),
        (-1.5, 8.0),
    ),
)
SIGNALS: Mapping[str, Signal] = {signal.name: signal for signal in _ALL}


def chart_range(models: Sequence[ModelAnswers], signal: Signal) -> tuple[float, float]:
    """The ends of a chart of several models: nearly all of their numbers, within the signal's limits."""
    values = np.concatenate([signal.of(part) for answers in models for part in answers.values() if len(part)])
    low, high = np.clip(np.quantile(values, (0.002, 0.998)), *signal.limits)
    return math.floor(low), max(math.ceil(high), math.floor(low) + 1)
