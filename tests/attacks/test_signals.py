"""The numbers that attacks look at, how they read, and what a chart shows of them."""

import numpy as np
import pytest

from unlearn_core.attacks.answers import part_answers
from unlearn_core.attacks.signals import SIGNALS, chart_range, confidence_text
from unlearn_core.attacks.threshold import slider_steps
from unlearn_core.results.evaluation import Predictions


def test_loss_decides_as_confidence_does_and_is_the_cross_entropy(predictions) -> None:
    part = part_answers(predictions(300))
    confidence, loss = (SIGNALS[name].of(part) for name in ("confidence", "loss"))
    assert np.argsort(confidence).tolist() == np.argsort(loss).tolist()
    assert 10**-loss == pytest.approx(-np.log(1 / (1 + np.exp(-part.margin))), rel=1e-6)


@pytest.mark.parametrize(
    ("margin", "text"),
    [
        (0.0, "50.0 %"),
        (np.log(0.99 / 0.01), "99.0 %"),
        (np.log(0.9999 / 0.0001), "99.990 %"),
        (np.log(0.0001 / 0.9999), "0.010 %"),
        (-800.0, "0.000000000000 %"),
    ],
)
def test_confidence_has_the_digits_that_matter(margin: float, text: str) -> None:
    assert confidence_text(float(margin)) == text


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("span", [(-7, 14), (0, 1), (-2, 9)])
def test_no_two_thresholds_of_a_slider_are_called_the_same(name: str, span: tuple[int, int]) -> None:
    for best in np.linspace(*span, 23):
        names = [SIGNALS[name].text(t) for t in slider_steps(*span, float(best))]
        assert len(set(names)) == len(names)


def test_every_signal_is_finite_and_orders_answers_that_round_to_one() -> None:
    chances = np.array([[1.0, 1e-9], [1.0, 1e-12], [1e-30, 1.0], [1.0, 0.0]], dtype=np.float32)
    labels = np.array([0, 0, 0, 0])
    part = part_answers(
        Predictions(np.arange(4), labels, chances.argmax(1), chances[:, 0].astype(float), chances)
    )
    for signal in SIGNALS.values():
        values = signal.of(part)
        assert np.isfinite(values).all()
        assert values[2] < values[0] <= values[1] <= values[3]


def test_the_chart_spans_what_models_say_within_limits(model) -> None:
    one = model(np.full(100, -500.0), np.linspace(-3, 3, 100))
    assert chart_range([one], SIGNALS["confidence"]) == (-16, 3)
    flat = model(np.full(50, 2.0), np.full(50, 2.0))
    flat = {**flat, "retain": flat["forget"], "test": flat["forget"]}
    low, high = chart_range([flat], SIGNALS["confidence"])
    assert low < high
