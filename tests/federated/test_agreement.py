"""Plans beside the exact one: worked by hand where they are small, and by the law where they are not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unlearn_core.channels.activations import ActivationStats
from unlearn_core.channels.pruning import ChannelGroup, PruningSettings
from unlearn_core.channels.scoring import tf_idf
from unlearn_core.checkpoints.model_files import fresh_model
from unlearn_core.federated.aggregation import add_stats, average_stats
from unlearn_core.federated.agreement import (
    FLOORS,
    Planner,
    by_chance,
    client_parts,
    compared,
    layer_scores,
    overlap,
)
from unlearn_core.federated.client_stats import load_client_stats
from unlearn_core.federated.privacy import Privacy
from unlearn_core.progress import Progress

CLASSES = ("a", "b", "c")
GROUPS = (ChannelGroup("conv", ("conv",), 10, True, True, 4),)
PLANNER = Planner(GROUPS, PruningSettings(ratio=0.2, where="all"))


def stats(counts: list[int], seed: int, lift: int = -1) -> ActivationStats:
    """Random class means; channel `lift` is high for class a."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(0.5, 1.0, (3, 10))
    if lift >= 0:
        means[0, lift] += 5
    held = np.array(counts)
    return ActivationStats(CLASSES, "bn_relu", {"conv": means * held[:, None]}, held)


def test_overlap_by_hand() -> None:
    exact = frozenset({("conv", 1), ("conv", 2)})
    assert overlap(frozenset({("conv", 2), ("conv", 3)}), exact) == 0.5
    assert overlap(None, exact) is None and overlap(exact, None) is None
    # Two of ten drawn at random: each of the exact two is among them with chance 1/5.
    assert by_chance(exact, GROUPS) == pytest.approx(0.2)


def test_plain_average_follows_the_small_client_and_counts_do_not() -> None:
    parts = [stats([90, 50, 50], 0, lift=3), stats([1, 50, 50], 1, lift=7)]
    privacy = Privacy()
    told = compared(parts, "counts", parts, parts, PLANNER, [0], privacy, 10)
    assert told is not None and told.channels == 2
    assert told.run == 1.0  # the law: sums over clients are the sums over all images
    # By counts channel 7 is raised by 5/91 only; in the plain average by 5/2, as much as channel 3.
    exact = PLANNER.channels(add_stats(parts), [0])
    assert exact is not None and ("conv", 7) not in exact
    plain = PLANNER.channels(average_stats(parts), [0])
    assert plain is not None and ("conv", 7) in plain
    assert told.plain == told.plain_by_class[0] == 0.5
    assert told.alone[0] == overlap(PLANNER.channels(parts[0], [0]), exact)


def test_what_a_floor_hides_is_counted_and_ends_the_plan() -> None:
    parts = [stats([30, 4, 4], 0, lift=3), stats([12, 4, 4], 1, lift=3)]
    told = compared(parts, "counts", parts, parts, PLANNER, [0], Privacy(), 10)
    assert told is not None
    floors = {f.k: f for f in told.floors}
    assert tuple(floors) == FLOORS
    assert vars(floors[1]) == {"k": 1, "agreement": 1.0, "hidden": 0.0}
    assert floors[5].hidden == pytest.approx(16 / 58)
    assert floors[20].hidden == pytest.approx(28 / 58) and floors[20].agreement is not None
    assert floors[50].agreement is None


def test_noise_wears_the_plan_down_to_chance() -> None:
    parts = [stats([200, 200, 200], seed, lift=3) for seed in range(4)]
    told = compared(parts, "counts", parts, parts, PLANNER, [0], Privacy(clip=0.1), 10)
    assert told is not None
    course = [e.agreement for e in told.epsilons]
    assert course[-1] == 1.0 and course[0] < 0.8
    assert all(e.low <= e.agreement <= e.high for e in told.epsilons)


def test_a_class_that_nobody_holds_has_no_exact_plan() -> None:
    parts = [stats([0, 40, 40], 0)]
    assert compared(parts, "counts", parts, parts, PLANNER, [0], Privacy(), 10) is None


def test_parts_of_clients_add_up_to_one_pass_over_all(colours, colour_card) -> None:
    model = fresh_model(colour_card, 0).eval()
    seen: list[Progress] = []

    def read(dealt: list[Any], clip: float = 0.0) -> list[ActivationStats]:
        return client_parts(
            model,
            colours.train,
            dealt,
            colours.classes,
            tap="bn_relu",
            per_class=0,
            clip=clip,
            report=seen.append,
        )

    [whole] = read([np.arange(120)])
    together = add_stats(read([np.arange(50), np.arange(50, 120)]))
    assert together.counts.tolist() == whole.counts.tolist() == [40, 40, 40]
    for layer in whole.layers:
        np.testing.assert_allclose(together.sums[layer], whole.sums[layer], rtol=1e-5, atol=1e-5)
    assert [(p.done, p.total) for p in seen] == [(1, 1), (1, 2), (2, 2)]
    [clipped] = read([np.arange(120)], clip=1e-3)
    assert all((clipped.sums[layer] <= whole.sums[layer] + 1e-12).all() for layer in whole.layers)


def test_stored_parts_come_back_and_are_scored(tmp_path: Path) -> None:
    parts = {4: stats([9, 9, 9], 0), 7: stats([9, 0, 9], 1)}
    path = tmp_path / "client_stats.npz"
    np.savez_compressed(
        path,
        clients=np.array([4, 7]),
        counts=np.stack([p.counts for p in parts.values()]),
        **{"sums/conv": np.stack([p.sums["conv"] for p in parts.values()])},
    )
    found = load_client_stats(path, CLASSES, "bn_relu")
    assert list(found) == [4, 7] and found[7].counts.tolist() == [9, 0, 9]
    clients, counts, scores = layer_scores(path, "conv", CLASSES, "bn_relu")
    assert clients == (4, 7) and scores.shape == (4, 3, 10)
    np.testing.assert_allclose(scores[2], tf_idf(parts[4].mean("conv")))
    np.testing.assert_allclose(scores[0], tf_idf(add_stats(list(parts.values())).mean("conv")))
    assert np.isnan(scores[3, 1]).all() and not np.isnan(scores[3, [0, 2]]).any()
