"""Plans against hand-worked rankings, and their laws."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearn_core.channels.pruning import (
    ChannelGroup,
    PruningSettings,
    budget_ratio,
    choose_groups,
    cut_of_layer,
    kept_in_place,
    make_plan,
    merge_plans,
    one_after_the_other,
    plan_from_plain,
    plan_to_plain,
)
from unlearn_core.channels.scoring import ChannelScores
from unlearn_core.errors import UnlearnError
from unlearn_core.params import build

GROUPS = (
    ChannelGroup("early", ("early",), 4, True, True, 32),
    ChannelGroup("sum", ("sum", "late2"), 10, False, False, 8),
    ChannelGroup("late", ("late",), 10, True, True, 8),
)


def scores(**layers):
    filled = {
        "early": np.array([[4.0, 3, 2, 1], [1, 2, 3, 4]]),
        "sum": np.arange(20.0).reshape(2, 10) / 100,
        "late2": np.zeros((2, 10)),
        "late": np.stack([np.arange(10.0), np.arange(10.0)[::-1]]),
        **layers,
    }
    return ChannelScores(("cat", "dog"), "tf_idf", filled)


def settings(**values):
    return build(PruningSettings, {"where": "all", **values})


def test_a_layers_own_cut_is_by_its_own_scores_whatever_else_is_asked():
    asked = settings(ratio=0.25, scope="global", where="last_convs", direction="low")
    cuts = {layer: cut_of_layer(scores(), layer, [0], asked) for layer in ("early", "late", "late2")}
    assert cuts == {"early": (0,), "late": (8, 9), "late2": (0, 1)}
    assert cut_of_layer(scores(), "early", [0], settings(ratio=0.1)) == ()


def test_highest_scores_of_each_layer_go():
    plan = make_plan(scores(), GROUPS, [0], settings(ratio=0.25))
    assert plan.channels["early"] == (0,)
    assert plan.channels["late"] == (8, 9)
    assert plan.channels["sum"] == plan.channels["late2"] == (8, 9)
    assert plan.total == 1 + 2 * 2 + 2


def test_low_is_the_other_end():
    assert make_plan(scores(), GROUPS, [0], settings(ratio=0.25, direction="low")).channels["early"] == (3,)


def test_ties_go_to_the_lower_index():
    tied = scores(late=np.ones((2, 10)))
    assert make_plan(tied, GROUPS, [0], settings(ratio=0.3)).channels["late"] == (0, 1, 2)


@pytest.mark.parametrize(
    ("combine", "ratio", "classes", "share"),
    [
        ("growing", 0.2, 1, 0.2),
        ("growing", 0.2, 2, 0.4),
        ("growing", 0.2, 3, 0.5),
        ("growing", 0.2, 7, 0.6),
        ("growing", 0.7, 3, 0.7),
        ("joint", 0.2, 3, 0.2),
        ("sequential", 0.2, 1, 0.2),
    ],
)
def test_a_budget_for_several_classes(combine, ratio, classes, share):
    assert budget_ratio(settings(combine=combine, ratio=ratio), classes) == pytest.approx(share)


def test_two_classes_share_a_grown_budget():
    joint, growing = (
        make_plan(scores(), GROUPS, [0, 1], settings(ratio=0.2, combine=c)) for c in ("joint", "growing")
    )
    assert (len(joint.channels["late"]), len(growing.channels["late"])) == (2, 4)


def test_global_ranks_all_layers_together():
    plan = make_plan(scores(), GROUPS, [0], settings(ratio=0.25, scope="global"))
    # 6 of the 24 channels of three groups: late has 9 8 7 6 5 and then 4 ties with early's 4, which comes first.
    assert plan.channels == {"early": (0,), "late": (5, 6, 7, 8, 9)}


def test_balance_lifts_wide_layers():
    even = scores(early=np.full((2, 4), 0.25), late=np.full((2, 10), 0.1001), sum=np.zeros((2, 10)))
    narrow = make_plan(even, GROUPS, [0], settings(ratio=0.15, scope="global"))
    wide = make_plan(even, GROUPS, [0], settings(ratio=0.15, scope="global_balanced"))
    assert set(narrow.channels) == {"early"}
    assert set(wide.channels) == {"late"}


def test_joint_takes_the_maximum_over_targets():
    plan = make_plan(scores(), GROUPS, [0, 1], settings(ratio=0.2, combine="joint"))
    assert plan.channels["late"] == (0, 9)


def test_random_is_seeded_and_independent_of_other_layers():
    first = make_plan(scores(), GROUPS, [0], settings(ratio=0.3, direction="random"), seed=5)
    assert first == make_plan(scores(), GROUPS, [0], settings(ratio=0.3, direction="random"), seed=5)
    alone = make_plan(scores(), GROUPS[2:], [0], settings(ratio=0.3, direction="random"), seed=5)
    assert alone.channels["late"] == first.channels["late"]
    draws = {
        make_plan(scores(), GROUPS, [0], settings(ratio=0.3, direction="random"), seed=s).channels["late"]
        for s in range(9)
    }
    assert len(draws) > 1


@given(st.floats(0.01, 0.95), st.sampled_from(["per_layer", "global", "global_balanced"]), st.integers(0, 99))
def test_no_layer_is_emptied(ratio, scope, seed):
    random = {n: np.random.default_rng(seed).random((2, v.shape[1])) for n, v in scores().by_layer.items()}
    try:
        plan = make_plan(scores(**random), GROUPS, [0], settings(ratio=ratio, scope=scope))
    except UnlearnError as error:
        assert "would prune no channel" in str(error)
        return
    for group in plan.groups:
        assert 0 < len(group.channels) <= 0.9 * group.size


def test_cap_is_told():
    plan = make_plan(scores(), GROUPS, [0], settings(ratio=0.95))
    assert len(plan.channels["early"]) == 3
    assert not any("early" in note for note in plan.notes)  # 3 of 4 were due
    lopsided = scores(late=np.full((2, 10), 9.0))
    capped = make_plan(lopsided, GROUPS, [0], settings(ratio=0.5, scope="global"))
    assert len(capped.channels["late"]) == 9
    assert any(note.startswith("late: 10 of 10") for note in capped.notes)


def test_a_ratio_that_prunes_nothing_is_refused_with_the_smallest_that_does():
    with pytest.raises(UnlearnError, match=r"0\.05 would prune no channel.* 0\.1"):
        make_plan(scores(), GROUPS, [0], settings(ratio=0.05))


def test_no_target_is_refused():
    with pytest.raises(UnlearnError, match="No class"):
        make_plan(scores(), GROUPS, [], settings())


def test_missing_scores_of_a_target_are_refused():
    with pytest.raises(UnlearnError, match="no images"):
        make_plan(scores(late=np.full((2, 10), np.nan)), GROUPS, [0], settings())


def test_places():
    assert [g.name for g in choose_groups(GROUPS, "last_stage")] == ["sum", "late"]
    assert [g.name for g in choose_groups(GROUPS, "inner")] == ["early", "late"]
    with pytest.raises(UnlearnError, match="nowhere"):
        choose_groups(GROUPS, "nowhere")


def test_plain_form_comes_back():
    plan = make_plan(scores(), GROUPS, [0, 1], settings(ratio=0.3, combine="joint"))
    assert plan_from_plain(json.loads(json.dumps(plan_to_plain(plan)))) == plan_from_plain(
        plan_to_plain(plan)
    )
    assert plan_from_plain(plan_to_plain(plan)).channels == plan.channels


@pytest.mark.parametrize("channels", [[1, 1], [-1], [10], list(range(10)), ["x"], None])
def test_a_damaged_plan_is_refused(channels):
    group = {"name": "late", "layers": ["late"], "size": 10, "removable": True, "channels": channels}
    with pytest.raises(UnlearnError, match="pruning plan"):
        plan_from_plain({"groups": [group]})


def test_merged_plans_prune_what_either_prunes():
    one, two = (make_plan(scores(), GROUPS, [k], settings(ratio=0.2)) for k in (0, 1))
    merged = merge_plans([one, two])
    assert merged.channels["late"] == (0, 1, 8, 9)
    assert merged.reason["classes"] == ["cat", "dog"]
    assert not any(g.removable for g in kept_in_place(merged).groups)


@pytest.mark.parametrize("direction", ["high", "low", "random"])
def test_what_goes_for_another_class_is_not_chosen_again(direction):
    asked = settings(ratio=0.2, direction=direction)
    first = make_plan(scores(), GROUPS, [0], asked)
    second = make_plan(scores(), GROUPS, [1], asked, gone=first)
    for layer in ("sum", "late"):
        both = {*first.channels[layer], *second.channels[layer]}
        assert len(both) == 4, "two classes, two channels of ten each"
    assert merge_plans([first, second]).channels["late"] == tuple(
        sorted({*first.channels["late"], *second.channels["late"]})
    )


def test_the_cap_is_over_all_classes_and_is_told():
    asked = settings(ratio=0.5)
    first = make_plan(scores(), GROUPS, [0], asked)
    second = make_plan(scores(), GROUPS, [1], asked, gone=first)
    assert (len(first.channels["late"]), len(second.channels["late"])) == (5, 4)
    assert any(note.startswith("late: 5 of 10 channels were due; 4 go") for note in second.notes)
    gone = merge_plans([first, second])
    assert make_plan(scores(), GROUPS, [0], asked, gone=gone).channels.get("late") is None


def test_two_plans_one_after_the_other_in_the_numbers_of_the_first_model():
    """Of 10 channels 2 and 5 are cut: what is 0 1 2 3 then was 0 1 3 4. Silenced channels keep their numbers."""

    def plan(size, channels, removable):
        groups = [{"name": "a", "layers": ["a"], "size": size, "removable": removable, "channels": channels}]
        return plan_from_plain({"groups": groups})

    cut, silent = plan(10, [2, 5], True), plan(10, [2, 5], False)
    (both,) = one_after_the_other(cut, plan(8, [2, 7], True)).groups
    assert (both.size, both.channels, both.removable) == (10, (2, 3, 5, 9), True)
    (both,) = one_after_the_other(silent, plan(10, [2, 7], False)).groups
    assert (both.size, both.channels) == (10, (2, 5, 7))
    mixed = one_after_the_other(cut, plan(8, [2, 7], False))
    assert {g.removable: g.channels for g in mixed.groups} == {True: (2, 5), False: (3, 9)}
    assert mixed.channels["a"] == (2, 3, 5, 9)
    assert one_after_the_other(None, cut) is cut and one_after_the_other(cut, None) is cut
