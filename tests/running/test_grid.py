"""Several runs from one request: counted by hand, in an order that reads, and never too many."""

import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.params import Setting
from unlearn_core.running.grid import MOST, expand, group_id, seeds_in, values_in

REQUEST = {"settings": {"forget": "3", "seed": 4}, "params": {"lr": 0.1, "epochs": 2, "freeze_bn": False}}
RATE = Setting("lr", float, 0.1, "Rate", 0.0, 1.0, ())
ORDER = Setting("order", str, "mixed", "Order", None, None, ("mixed", "sequential"))


def test_every_combination_with_every_seed() -> None:
    plans = expand(REQUEST, (7, 8), {"lr": (0.1, 0.2, 0.3), "freeze_bn": (False, True)}, "abc")
    told = [
        (p.request["params"]["lr"], p.request["params"]["freeze_bn"], p.request["settings"]["seed"])
        for p in plans
    ]
    assert told[:4] == [(0.1, False, 7), (0.1, False, 8), (0.1, True, 7), (0.1, True, 8)]
    assert len(set(told)) == 12 == 3 * 2 * 2
    assert plans[3].varied == {"lr": 0.1, "freeze_bn": True, "seed": 8}
    assert {p.request["params"]["epochs"] for p in plans} == {2}
    assert all(p.request["settings"]["group"] == "abc" for p in plans)
    assert all(p.request["settings"]["variants"] == 6 for p in plans)


def test_one_run_is_the_request_itself() -> None:
    [only] = expand(REQUEST, (4,), {}, "abc")
    assert only.request == REQUEST and only.varied == {}


def test_seeds_alone_are_one_variant() -> None:
    plans = expand(REQUEST, (0, 1, 2), {})
    assert [p.varied for p in plans] == [{"seed": 0}, {"seed": 1}, {"seed": 2}]
    assert plans[0].request["settings"]["variants"] == 1


def test_the_request_is_left_as_it_was() -> None:
    before = repr(REQUEST)
    expand(REQUEST, (1, 2), {"lr": (0.5, 0.6)})
    assert repr(REQUEST) == before


def test_too_many_are_refused_with_their_count() -> None:
    with pytest.raises(UnlearnError, match=rf"make {MOST + 1} runs; at most {MOST}"):
        expand(REQUEST, range(MOST + 1), {})


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("", (4,)),
        ("  ", (4,)),
        ("3", (4, 5, 6)),
        ("3,", (3,)),
        ("0, 7,42", (0, 7, 42)),
        ("1,1,2", (1, 2)),
    ],
)
def test_seeds_by_number_or_by_name(text: str, seeds: tuple[int, ...]) -> None:
    assert seeds_in(text, 4) == seeds


@pytest.mark.parametrize("text", ["many", "1,-2", "1.5", "0", "9999999", "1;2", "²"])
def test_what_is_no_seed_is_a_sentence(text: str) -> None:
    with pytest.raises(UnlearnError, match="[Ss]eeds"):
        seeds_in(text, 0)


def test_values_are_of_the_settings_kind_and_within_its_range() -> None:
    assert values_in(RATE, "0.1, 1e-3, 0.10") == (0.1, 0.001)
    assert values_in(RATE, "") == ()
    assert values_in(ORDER, "mixed") == ("mixed",)
    with pytest.raises(UnlearnError, match="lr can't be 2"):
        values_in(RATE, "0.1,2")
    with pytest.raises(UnlearnError, match="order can't be 'neither'"):
        values_in(ORDER, "neither")


def test_a_group_is_named_by_its_parts() -> None:
    assert group_id("a", REQUEST) == group_id("a", dict(reversed(REQUEST.items())))
    assert group_id("a", REQUEST) != group_id("b", REQUEST)
