"""Settings: what is accepted, and the sentence for what is not."""

from dataclasses import dataclass

import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.params import build, plain, setting, settings_of


@dataclass(frozen=True)
class Example:
    count: int = setting(2, "how many", low=1, high=9)
    rate: float = setting(0.5, "how fast", low=0.0)
    kind: str = setting("a", "which", choices=("a", "b"))
    on: bool = setting(False, "whether")


def test_text_becomes_values():
    assert build(Example, {"count": "3", "rate": "1e-3", "kind": "b", "on": "yes"}) == Example(
        3, 0.001, "b", True
    )


def test_plain_and_build_are_inverse():
    assert build(Example, plain(Example(5, 0.1, "b", True))) == Example(5, 0.1, "b", True)


def test_declared_facts():
    count, rate, kind, on = settings_of(Example)
    assert (count.kind, count.low, count.high, count.help) == (int, 1, 9, "how many")
    assert (rate.high, kind.choices, on.kind) == (None, ("a", "b"), bool)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"count": 0}, "count can't be 0; it must lie between 1 and 9"),
        ({"count": "2.5"}, "'2.5'; it must be a whole number"),
        ({"count": True}, "whole number"),
        ({"rate": -1}, "at or above 0"),
        ({"rate": "nan"}, "finite"),
        ({"rate": "fast"}, "'fast'; it must be a number"),
        ({"kind": "c"}, "choose one of: a, b"),
        ({"on": "maybe"}, "yes or no"),
        ({"speed": 1}, "Unknown setting 'speed'; the settings are: count, rate, kind, on"),
        ({"count": None}, "whole number"),
        ({"count": 10**400}, "whole number"),
    ],
)
def test_refusals_repeat_the_input(values, words):
    with pytest.raises(UnlearnError, match=words.replace("?", r"\?")):
        build(Example, values)
