"""The work of a run, counted by hand; every method of the registry has its share."""

import pytest

from unlearn_core.params import build, plain
from unlearn_core.running import cost
from unlearn_core.unlearning.registry import METHODS

SIZES = cost.Sizes(retain=900, forget=100, test=300, classes=10)
SPEED = cost.Speed(
    step=lambda batch, precision: 0.001 * batch,
    answer=lambda: 0.0005,
    gradient=lambda: (0.01, 1e-6),
)


def settings(method: str, **values: object) -> dict[str, object]:
    return plain(build(METHODS[method].params, values))


def steps(method: str, **values: object) -> float:
    """Training steps on single images."""
    work = cost.work_of(method, settings(method, **values), SIZES, 10)
    return sum(s.images * s.steps for s in work.stints)


def test_every_method_has_its_work() -> None:
    for name in METHODS:
        work = cost.work_of(name, settings(name), SIZES, 10)
        assert bool(work.stints) == (name not in cost.INSTANT), name


@pytest.mark.parametrize(
    ("method", "values", "expected"),
    [
        ("fine_tune", {"epochs": 2}, 2 * 900),
        ("retrain", {"epochs": 3}, 3 * 900),
        ("gradient_ascent", {"epochs": 5}, 5 * 100),
        ("random_label", {"epochs": 2}, 2 * 1000),
        ("salun", {"epochs": 2}, 100 + 2 * 1000),
        ("neggrad", {"epochs": 2}, 2 * 2 * 900),
        ("boundary_expand", {"epochs": 4}, 4 * 100),
        ("boundary_shrink", {"epochs": 4}, 4 * 100 + 100 * 4 / 3),
        ("scrub", {"epochs": 3, "max_epochs": 2}, 3 * 900 + 2 * 100),
        ("scrub", {"epochs": 1, "max_epochs": 9}, 900 + 100),
        ("bad_teacher", {"epochs": 2, "retain_share": 0.5}, 2 * (100 + 450)),
        ("fisher", {}, 900 * (1 + 2 * 10) / 3),
        ("fisher", {"samples": 30}, 30 * (1 + 2 * 10) / 3),
        ("tfidf_prune", {"epochs": 1}, 900),
        ("tfidf_prune", {"epochs": 2, "tune_images": 50}, 2 * 50),
    ],
)
def test_passes_over_the_two_sets(method: str, values: dict[str, object], expected: float) -> None:
    assert steps(method, **values) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("method", "values", "expected"),
    [
        ("scrub", {"epochs": 1}, 900 + 100),
        ("scrub", {"epochs": 1, "rewind": True}, 900 + 100 + 300 + 100),
        ("bad_teacher", {"epochs": 2, "retain_share": 0.5}, 2 * 2 * (100 + 450)),
        ("tfidf_prune", {"images_per_class": 20}, 200),
        ("tfidf_prune", {"images_per_class": 0}, 1000),
    ],
)
def test_answers_outside_training(method: str, values: dict[str, object], expected: float) -> None:
    assert cost.work_of(method, settings(method, **values), SIZES).answers == expected


def test_gradients_that_are_wanted_themselves_are_exact() -> None:
    for method in ("influence", "fisher"):
        work = cost.work_of(method, settings(method), SIZES, 10)
        assert {s.precision for s in work.stints} == {"float32"}
    assert cost.work_of("salun", settings("salun"), SIZES).stints[0].precision == "float32"


def test_influence_computes_gradients_again_where_memory_is_short() -> None:
    params = settings("influence", samples=100)
    assert cost.work_of("influence", params, SIZES, 10).gradients == 100
    # One GiB over 4 bytes and as many parameters as leave room for 50: two chunks of 25 at a time, four in all.
    parameters = 2**30 // (4 * 50)
    short = cost.work_of("influence", {**params, "memory": 1.0}, SIZES, parameters)
    assert short.gradients == 25 * (4 + 3 + 2 + 1)
    assert short.pairs == 100**2


def test_seconds_add_up() -> None:
    none = cost.seconds_of([], SIZES, SPEED)
    one = cost.seconds_of([cost.Work((cost.Stint(900, 64),), epochs=2)], SIZES, SPEED)
    answers = (1300 + 2 * 300) * 0.0005
    attack = 0.4 + 2e-8 * (300 + 300) ** 2  # as many retained images as test images
    assert one - none == pytest.approx(0.9 + answers + attack)
    with_gradients = cost.seconds_of([cost.Work(gradients=100, pairs=1e6)], SIZES, SPEED)
    assert with_gradients - none == pytest.approx(1300 * 0.0005 + attack + 1.0 + 1.0)


def test_gradients_are_not_measured_for_nothing() -> None:
    def asked() -> tuple[float, float]:
        raise AssertionError("nobody needs a gradient")

    speed = cost.Speed(SPEED.step, SPEED.answer, asked)
    assert cost.seconds_of([cost.work_of("fine_tune", settings("fine_tune"), SIZES)], SIZES, speed) > 0
