"""The work of each method, counted by hand."""

from dataclasses import replace

import pytest

from unlearn_core.params import build
from unlearn_core.unlearning.registry import METHODS
from unlearn_core.unlearning.work import Sizes, Work

SIZES = Sizes(retain=900, forget=100, test=300, classes=10, parameters=10)
# Methods that only change weights at one stroke.
INSTANT = {"untouched", "mask_logit", "reset_row"}


def work_of(name: str, sizes: Sizes = SIZES, **values: object) -> Work:
    method = METHODS[name]
    return method.work(build(method.params, values), sizes)


def steps(name: str, **values: object) -> float:
    """Training steps on single images."""
    return sum(s.images * s.steps for s in work_of(name, **values).stints)


def test_every_method_has_its_work() -> None:
    for name in METHODS:
        assert bool(work_of(name).stints) == (name not in INSTANT), name


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
    assert work_of(method, **values).answers == expected


def test_gradients_that_are_wanted_themselves_are_exact() -> None:
    for method in ("influence", "fisher"):
        assert {s.precision for s in work_of(method).stints} == {"float32"}
    assert work_of("salun").stints[0].precision == "float32"


def test_influence_computes_gradients_again_where_memory_is_short() -> None:
    assert work_of("influence", samples=100).gradients == 100
    # One GiB over 4 bytes and as many parameters as leave room for 50: two chunks of 25 at a time, four in all.
    sizes = replace(SIZES, parameters=2**30 // (4 * 50))
    short = work_of("influence", sizes, samples=100, memory=1.0)
    assert short.gradients == 25 * (4 + 3 + 2 + 1)
    assert short.pairs == 100**2
