"""How long a run takes, from its work and the measured speed of the model on the device at hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unlearn_core.unlearning.work import Sizes, Work

_EACH_PART = 0.4  # a small membership attack, timing and saving, measured with the bundled models
_EACH_PAIR = 2e-8  # fitting the attack's two machines, by pairs of images that the larger learns from: benchmarks.attack_cost
_START = 4.0  # starting Python, torch, model and data
_KEPT_PER_CLASS = 100  # images whose activations a run keeps, before and after


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes:
        step: Seconds of one training step of a batch size, in an arithmetic.
        answer: Seconds of one image's answer.
        gradient: Seconds of one image's own gradient, and of multiplying two of them; asked only where it is needed.
    """

    step: Callable[[int, str], float]
    answer: Callable[[], float]
    gradient: Callable[[], tuple[float, float]]


def seconds_of(parts: Sequence[Work], sizes: Sizes, speed: Speed) -> float:
    """How long a run takes whose parts do this work, from its start to its last file.

    Args:
        parts: The method's work and that of each control.
        sizes: Of the split.
        speed: Of the model on the device.
    """
    answered = sizes.retain + sizes.forget + sizes.test
    kept = min(_KEPT_PER_CLASS * sizes.classes, sizes.retain + sizes.forget)
    evaluations = 1 + len(parts)
    images = answered * evaluations + kept * 2 + sum(w.answers + sizes.test * w.epochs for w in parts)
    own = sum(_seconds(work, speed) for work in parts)
    attack = _EACH_PART + _EACH_PAIR * (sizes.test + min(sizes.retain, sizes.test)) ** 2
    return _START + attack * evaluations + images * speed.answer() + own


def _seconds(work: Work, speed: Speed) -> float:
    total = sum(
        s.images * s.steps * speed.step(s.batch_size, s.precision) / s.batch_size for s in work.stints
    )
    if work.gradients:
        each, pair = speed.gradient()
        total += work.gradients * each + work.pairs * pair
    return total
