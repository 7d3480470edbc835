"""The gate: nothing malformed passes, and what is well-formed does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearn_core.federated import validate, validate_stats
from unlearn_core.federated.messages import Answer
from unlearn_core.federated.validate import schema_of
from unlearn_core.results.exchanges import Member

MEMBER = Member(node=7, client=0, images=20, train_images=12)


def model():
    return {
        "conv.weight": np.ones((2, 3), dtype=np.float32),
        "bn.running_var": np.ones(2, dtype=np.float32),
        "bn.num_batches_tracked": np.array(4, dtype=np.int64),
    }


SCHEMA = schema_of(model())


def problem(arrays, images=12):
    return validate.update_problem(Answer(7, arrays, {"images": images}), MEMBER, SCHEMA)


def test_a_sound_update_passes():
    assert problem(model()) == ""


MUTATIONS = {
    "missing": lambda a, n: a.pop(n),
    "extra": lambda a, n: a.update({n + "2": a[n]}),
    "shape": lambda a, n: a.update({n: np.stack([a[n], a[n]])}),
    "broadcast": lambda a, n: a.update({n: a[n][..., None]}),
    "float64": lambda a, n: a.update({n: a[n].astype(np.float64)}),
    "nan": lambda a, n: a.update({n: np.full(a[n].shape, np.nan, np.float32)}),
    "inf": lambda a, n: a.update({n: np.full(a[n].shape, np.inf, np.float32)}),
    "huge": lambda a, n: a.update({n: np.full(a[n].shape, 1e7, a[n].dtype) if a[n].ndim else a[n] - 10}),
    "objects": lambda a, n: a.update({n: a[n].astype(str)}),
}


@given(st.sampled_from(sorted(MUTATIONS)), st.sampled_from(sorted(SCHEMA)))
def test_every_mutant_is_rejected(mutation, name):
    arrays = model()
    MUTATIONS[mutation](arrays, name)
    assert problem(arrays)


def test_negative_variance_and_counters_are_rejected():
    for name in ("bn.running_var", "bn.num_batches_tracked"):
        assert "negative" in problem({**model(), name: -model()[name]})


@pytest.mark.parametrize("images", [-1, 0, 11, 13, 10**12, True, 12.0, "12", None, float("nan")])
def test_a_count_other_than_the_registered_one_is_rejected(images):
    assert "images" in problem(model(), images)


def test_one_answer_a_node_to_this_exchange():
    def told(node, exchange, **more):
        return Answer(node, {}, {"exchange": exchange, **more})

    first, second = told(1, 5, first=True), told(1, 5)
    answers = [first, second, told(2, 4), told(3, 5), Answer(4, {}, {}, "It crashed."), told(2, True)]
    taken, rejected = validate.genuine(answers, [1, 2, 4], 5)
    assert taken == [first]
    assert [(r.node, r.reason.split(".")[0]) for r in rejected] == [
        (1, "It answered already in this exchange"),
        (2, "It answers exchange 4; this is exchange 5"),
        (3, "It was not asked"),
        (4, "It crashed"),
        (2, "It answers exchange True; this is exchange 5"),
    ]


def stats(**changes):
    arrays = {"sums/conv": np.ones((2, 3)), "counts": np.array([5, 6], dtype=np.int64)}
    return Answer(7, {**arrays, **changes}, {})


STATS = schema_of(stats().arrays)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"counts": np.array([-1, 6])}, "fewer than no images"),
        ({"counts": np.array([15, 6])}, "registered 20"),
        ({"counts": np.array([21, -1])}, "fewer than no images"),
        ({"counts": np.array([0, 6])}, "no images of"),
        ({"sums/conv": -np.ones((2, 3))}, "negative"),
        ({"sums/conv": np.full((2, 3), np.nan)}, "not finite"),
        ({"sums/conv": np.full((2, 3), np.inf)}, "not finite"),
        ({"sums/conv": np.ones((3, 2))}, "(3, 2)"),
        ({"sums/conv": np.array([[160.0] * 3, [192.0] * 3])}, ""),
        ({"sums/conv": np.array([[160.1, 0, 0], [0, 0, 0]])}, "above 32 for each image"),
        ({"sums/conv": np.array([[0, 0, 0], [0, 0, 192.1]])}, "above 32 for each image"),
        ({"sums/conv": np.full((2, 3), 1e308)}, "above 32 for each image"),
    ],
)
def test_statistics_are_what_a_relu_gives_of_registered_images(change, reason):
    found = validate_stats.stats_problem(stats(**change), MEMBER, STATS, reach=0)
    assert reason in found and bool(found) == bool(reason)


def test_noise_may_take_sums_below_zero():
    told = stats(**{"sums/conv": -np.ones((2, 3)), "counts": np.array([15, 6])})
    assert validate_stats.stats_problem(told, MEMBER, STATS, reach=10) == ""


def test_noise_takes_sums_only_so_far():
    for high, reason in ((160.0 + 49, ""), (160.0 + 51, "above 32"), (-160.0 - 51, "above 32")):
        told = stats(**{"sums/conv": np.array([[high, 0, 0], [0, 0, 0]])})
        found = validate_stats.stats_problem(told, MEMBER, STATS, reach=10, sums_reach=50)
        assert reason in found and bool(found) == bool(reason)


@pytest.mark.parametrize("reach", [0, 10])
def test_counts_whose_sum_wraps_around_are_rejected(reach):
    counts = np.array([2**62] * 4 + [0] * 6)
    told = Answer(7, {"sums/conv": np.outer(counts > 0, np.ones(3)), "counts": counts}, {})
    assert counts.sum() == 0
    assert "registered 20" in validate_stats.stats_problem(told, MEMBER, schema_of(told.arrays), reach=reach)
    assert "registered 20" in validate_stats.total_problem(
        told.arrays, schema_of(told.arrays), 20, reach=reach
    )


def test_noise_takes_counts_only_so_far():
    told = stats(counts=np.array([29, 20]))
    assert validate_stats.stats_problem(told, MEMBER, STATS, reach=15) == ""
    assert "counts 49 images" in validate_stats.stats_problem(told, MEMBER, STATS, reach=10)
    assert "counts 29 images of a class" in validate_stats.stats_problem(told, MEMBER, STATS, reach=5)


def test_what_a_client_sent_is_quoted_shortly():
    assert len(validate.whole_number_problem({"images": "9" * 100_000}, "images", 0, 9)) < 100
    assert len(validate.arrays_problem({"x" * 100_000: np.ones(1)}, SCHEMA)) < 200


def test_the_loud_one_is_told_by_the_median():
    sizes = {1: 1.0, 2: 1.2, 3: 0.9, 4: 11.1, 5: 0.0}
    assert [r.node for r in validate.far_out(sizes, 10.0)] == [4]
    assert validate.far_out({1: 1.0, 2: 1000.0}, 10.0) == []


def test_distance_is_the_norm_over_parameters_and_statistics_without_counters():
    moved = model()
    moved["conv.weight"][0] += 3
    moved["bn.running_var"] += 4
    moved["bn.num_batches_tracked"] += 100
    assert validate.distance(moved, model()) == pytest.approx(np.sqrt(3 * 9 + 2 * 16))
