"""The seconds of a run, added up by hand."""

import pytest

from unlearn_core.running import cost
from unlearn_core.unlearning.registry import find_method
from unlearn_core.unlearning.work import Sizes, Stint, Work

SIZES = Sizes(retain=900, forget=100, test=300, classes=10, parameters=10)
SPEED = cost.Speed(
    step=lambda batch, precision: 0.001 * batch,
    answer=lambda: 0.0005,
    gradient=lambda: (0.01, 1e-6),
)


def test_seconds_add_up() -> None:
    none = cost.seconds_of([], SIZES, SPEED)
    one = cost.seconds_of([Work((Stint(900, 64),), epochs=2)], SIZES, SPEED)
    answers = (1300 + 2 * 300) * 0.0005
    attack = 0.4 + 2e-8 * (300 + 300) ** 2  # as many retained images as test images
    assert one - none == pytest.approx(0.9 + answers + attack)
    with_gradients = cost.seconds_of([Work(gradients=100, pairs=1e6)], SIZES, SPEED)
    assert with_gradients - none == pytest.approx(1300 * 0.0005 + attack + 1.0 + 1.0)


def test_gradients_are_not_measured_for_nothing() -> None:
    def asked() -> tuple[float, float]:
        raise AssertionError("nobody needs a gradient")

    speed = cost.Speed(SPEED.step, SPEED.answer, asked)
    method = find_method("fine_tune")
    assert cost.seconds_of([method.work(method.params(), SIZES)], SIZES, speed) > 0
