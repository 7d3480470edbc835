"""Warnings: the defaults give none, and what was measured to fail gives one."""

from typing import Any

import pytest

from unlearn_core.params import build, plain, settings_of
from unlearn_core.unlearning.advice import warnings
from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams
from unlearn_core.unlearning.registry import METHODS

DEFAULTS = plain(TfidfPruneParams())


@pytest.mark.parametrize("name", METHODS)
def test_defaults_of_every_method_are_reasonable(name: str) -> None:
    defaults = {s.name: s.default for s in settings_of(METHODS[name].params)}
    assert warnings(METHODS[name], defaults, ["cat"], 10) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scope": "global"}, "released setting"),
        ({"ratio": 0.6}, "half of the channels"),
        ({"ratio": 0.0}, "prunes nothing"),
        ({"lr": 0.1}, "fine-tuning alone was measured to forget"),
        ({"epochs": 0}, "Without fine-tuning"),
        ({"epochs": 200}, "cost of retraining"),
        ({"direction": "random"}, "is a control"),
        ({"images_per_class": 5}, "Fewer than 20"),
    ],
)
def test_what_fails_is_warned_of(change: dict[str, Any], words: str) -> None:
    told = warnings(METHODS["tfidf_prune"], {**DEFAULTS, **change}, ["cat"], 10)
    assert len(told) == 1 and words in told[0]


@pytest.mark.parametrize("name", [n for n in METHODS if n not in ("tfidf_prune", "random_prune")])
def test_what_prunes_nothing_is_not_warned_of_pruning(name: str) -> None:
    assert warnings(METHODS[name], {"lr": 0.1, "epochs": 0}, ["cat"], 10) == []
    assert warnings(METHODS[name], {"epochs": 182}, ["cat"], 10) == []


def test_forgetting_most_classes_is_warned_of() -> None:
    assert "6 of 10 classes" in warnings(METHODS["scrub"], {}, list("abcdef"), 10)[0]


def test_presets_are_settings_of_the_method() -> None:
    for values in METHODS["tfidf_prune"].presets.values():
        assert plain(build(TfidfPruneParams, values)) == {**DEFAULTS, **values}
