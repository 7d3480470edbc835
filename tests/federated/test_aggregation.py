"""Aggregation against numpy written out, and against Flower's own strategies."""

import numpy as np
import pytest

from unlearn_core.channels.activations import ActivationStats
from unlearn_core.federated.aggregation import add_stats, average_stats, capped, trimmed_mean, weighted_mean


def models(clients):
    rng = np.random.default_rng(0)
    return [
        {
            "weight": rng.normal(size=(4, 3)).astype(np.float32),
            "running_var": rng.random(4).astype(np.float32),
            "num_batches_tracked": np.array(i, dtype=np.int64),
        }
        for i in range(clients)
    ]


def test_weighted_mean_is_by_weight_and_keeps_types():
    parts = models(3)
    mean = weighted_mean(parts, [1, 2, 5])
    expected = (parts[0]["weight"] + 2 * parts[1]["weight"] + 5 * parts[2]["weight"]) / 8
    np.testing.assert_allclose(mean["weight"], expected, rtol=1e-6)
    assert {n: a.dtype for n, a in mean.items()} == {n: a.dtype for n, a in parts[0].items()}
    assert mean["num_batches_tracked"] == 2 and mean["num_batches_tracked"].shape == ()


def test_of_one_client_the_mean_is_the_client_bit_for_bit():
    (only,) = models(1)
    for mean in (weighted_mean([only], [17]), trimmed_mean([only])):
        assert all(np.array_equal(mean[n], only[n]) for n in only)


def test_trimmed_mean_leaves_out_a_fifth_at_each_end():
    parts = models(5)
    ordered = np.sort([p["weight"] for p in parts], axis=0)
    np.testing.assert_allclose(trimmed_mean(parts)["weight"], ordered[1:4].mean(axis=0), rtol=1e-6)
    parts[2]["weight"][:] = 1e9
    rest = [p["weight"] for i, p in enumerate(parts) if i != 2]
    robust = trimmed_mean(parts)["weight"]
    assert (robust <= np.max(rest, axis=0)).all() and (robust >= np.min(rest, axis=0)).all()


@pytest.mark.parametrize("name", ["FedAvg", "FedTrimmedAvg"])
def test_agrees_with_flowers_own_strategies(name, flower):
    from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
    from flwr.serverapp import strategy

    from unlearn_core.federated.flower.local_grid import _identity

    parts = [{n: a for n, a in part.items() if a.dtype == np.float32} for part in models(10)]
    weights = [3 + i for i in range(10)]
    replies = []
    with _identity(0):
        for part, weight in zip(parts, weights, strict=True):
            arrays = ArrayRecord({n: Array(a) for n, a in part.items()})
            content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": weight})})
            asked = Message(RecordDict({}), 1, "train")
            replies.append(Message(content, reply_to=asked))
        theirs, _ = getattr(strategy, name)().aggregate_train(1, replies)
    ours = weighted_mean(parts, weights) if name == "FedAvg" else trimmed_mean(parts)
    for key, values in ours.items():
        np.testing.assert_allclose(values, theirs[key].numpy(), rtol=1e-5, atol=1e-6)


def stats(counts, value):
    counts = np.array(counts, dtype=np.int64)
    return ActivationStats(("a", "b"), "bn_relu", {"conv": np.full((2, 3), value) * counts[:, None]}, counts)


def test_counts_weigh_and_the_plain_average_does_not():
    parts = [stats([10, 0], 1.0), stats([30, 5], 2.0)]
    np.testing.assert_allclose(add_stats(parts).mean("conv"), [[1.75] * 3, [2.0] * 3])
    # As in the paper's code, a class that a client lacks is a row of zeros, and counts.
    np.testing.assert_allclose(average_stats(parts).mean("conv"), [[1.5] * 3, [1.0] * 3])
    assert average_stats(parts).counts.tolist() == [40, 5]


def test_capped_statistics_keep_their_means():
    told = stats([3000, 1000], 2.0)
    less = capped(told, 100)
    assert less.counts.tolist() == [75, 25]
    np.testing.assert_allclose(less.mean("conv"), told.mean("conv"))
    assert capped(told, 4000) is told
