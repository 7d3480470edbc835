"""Tables of two models, against counts made by hand."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from unlearn_core.channels.activations import ActivationStats
from unlearn_core.channels.pruning import PlannedGroup, PruningPlan
from unlearn_core.intervals import Tally
from unlearn_core.results import comparison
from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.result import Control, Rung, Size, Sizes, UnlearnResult

CLASSES = ("cat", "dog", "ship")


def evaluation(*rows: list[int], forget: tuple[int, ...] = (2,)) -> Evaluation:
    """An evaluation with this confusion matrix."""
    return Evaluation(CLASSES, forget, tuple(map(tuple, rows)))


BEFORE = evaluation([90, 10, 0], [5, 95, 0], [0, 0, 100])
AFTER = evaluation([88, 12, 0], [40, 60, 0], [30, 69, 1])


def test_per_class_shares_and_noise() -> None:
    cat, dog, ship = comparison.per_class(BEFORE, AFTER)
    assert (cat["before"], cat["after"], cat["noise"]) == (90, 88, True)
    assert (dog["difference"], dog["noise"]) == (pytest.approx(-35), False)
    assert (ship["forgotten"], ship["after"]) == (True, 1)
    assert ship["after_low"] < 1 < ship["after_high"]
    assert dog["images"] == 100


def test_groups() -> None:
    assert AFTER.group_tally(forgotten=True).share == pytest.approx(0.01)
    retained = AFTER.group_tally(forgotten=False)
    assert (retained.correct, retained.total) == (148, 200)


def test_confusion_cells() -> None:
    cells = {c["cell"]: c for c in comparison.confusion(BEFORE, AFTER)}
    assert len(cells) == 9
    moved = cells["1-0"]
    assert (moved["true"], moved["answer"], moved["before"], moved["after"]) == ("dog", "cat", 5, 40)
    assert moved["difference"] == pytest.approx(35)
    assert sum(c["difference"] for c in cells.values()) == pytest.approx(0)


def test_destinations_are_the_forgotten_classs_images() -> None:
    rows = comparison.destinations(BEFORE, AFTER)
    assert [(r["answer"], r["before"], r["after"]) for r in rows] == [
        ("dog", 0, 69),
        ("cat", 0, 30),
        ("ship", 100, 1),
    ]
    assert [r["forgotten"] for r in rows] == [False, False, True]
    assert sum(r["share"] for r in rows) == pytest.approx(100)


def test_destinations_of_several_classes_are_added_up() -> None:
    both = evaluation([0, 10, 0], [10, 0, 0], [0, 0, 10], forget=(0, 1))
    assert {r["answer"]: r["after"] for r in comparison.destinations(both, both)} == {"dog": 10, "cat": 10}


def test_ladder_has_a_row_a_rung_and_group() -> None:
    rungs = [
        Rung(rung="original", forget_test_accuracy=1.0, retain_test_accuracy=0.925),
        Rung(rung="pruned", forget_test_accuracy=0.0, retain_test_accuracy=0.5),
    ]
    rows = comparison.ladder(BEFORE, rungs)
    assert [(r["rung"], r["group"], r["accuracy"]) for r in rows] == [
        ("original", "forgotten", 100),
        ("original", "retained", 92.5),
        ("pruned", "forgotten", 0),
        ("pruned", "retained", 50),
    ]
    # Wilson's upper bound for 0 of 100: z^2 / (n + z^2).
    z = NormalDist().inv_cdf(0.975)
    assert rows[2]["high"] == pytest.approx(100 * z**2 / (100 + z**2))


def test_a_random_share_has_no_forgotten_rungs() -> None:
    whole = evaluation([9, 1, 0], [0, 9, 1], [1, 0, 9], forget=())
    rung = Rung(rung="original", retain_test_accuracy=0.9)
    assert [r["group"] for r in comparison.ladder(whole, [rung])] == ["retained"]


def test_the_rungs_of_a_random_share_are_of_its_own_training_images() -> None:
    whole = replace(evaluation([9, 1, 0], [0, 9, 1], [1, 0, 9], forget=()), forget_train=Tally(40, 40))
    rung = Rung(rung="epoch 1", forget_train_accuracy=0.75, retain_test_accuracy=0.9)
    rows = comparison.ladder(whole, [rung])
    assert [(r["group"], r["accuracy"], r["images"]) for r in rows] == [
        ("forgotten", 75, 40),
        ("retained", 90, 30),
    ]
    assert whole.is_share
    assert not replace(whole, forget_classes=(1,)).is_share


def test_cuts_name_every_layer_of_a_group() -> None:
    plan = PruningPlan(
        (PlannedGroup("a", ("a", "b"), 8, True, (1, 2)), PlannedGroup("c", ("c",), 16, False, (0, 5, 7)))
    )
    rows = comparison.cuts(plan)
    assert [(r["layer"], r["pruned"], r["kept"], r["how"]) for r in rows] == [
        ("a", 2, 6, "cut out"),
        ("b", 2, 6, "cut out"),
        ("c", 3, 13, "silenced"),
    ]


def test_standing_marks_controls_and_stored_references() -> None:
    size = Size(parameters=10)
    result = UnlearnResult(
        method="tfidf_prune",
        before=BEFORE,
        after=replace(AFTER, forget_train=Tally(4, 40)),
        seconds=2.0,
        size=Sizes(before=size, after=Size(parameters=7)),
        controls={"retrain": Control(evaluation=AFTER, seconds=9.0, size=size, stored=True)},
    )
    original, main, retrain = comparison.standing(result)
    assert (original["name"], main["name"], retrain["name"]) == (
        "Original",
        "TF-IDF pruning",
        "Retraining (stored)",
    )
    assert [r["control"] for r in (original, main, retrain)] == [False, False, True]
    assert (main["ua"], main["ra"], main["parameters"], main["forgotten"]) == (90, None, 7, 1)


def stats(layer: dict[str, list[list[float]]]) -> ActivationStats:
    sums = {name: np.array(rows, dtype=np.float64) for name, rows in layer.items()}
    return ActivationStats(("a", "b"), "bn_relu", sums, np.array([1, 1]))


def test_re_encoded_channels_keep_their_number_of_the_unpruned_model() -> None:
    before = stats({"cut": [[9, 1, 1, 1], [0, 1, 1, 1]], "silenced": [[9, 1, 1], [0, 1, 1]]})
    # Channel 0 went; channel 2 of "cut" (place 1 of those left) and channel 1 of "silenced" took class a up.
    after = stats({"cut": [[1, 4, 1], [1, 1, 1]], "silenced": [[0, 4, 1], [0, 1, 1]]})
    plan = PruningPlan(
        (
            PlannedGroup("cut", ("cut",), 4, True, (0,)),
            PlannedGroup("silenced", ("silenced",), 3, False, (0,)),
        )
    )
    rows = comparison.re_encoded(before, after, plan, [0])
    assert {(r["layer"], r["channel"]) for r in rows} == {("cut", 2), ("silenced", 1)}
    assert all(r["rise"] == pytest.approx(r["after"] - r["before"]) and r["rise"] > 0 for r in rows)


def test_pruning_alone_re_encodes_nothing() -> None:
    before = stats({"cut": [[9, 3, 1, 1], [0, 1, 1, 1]]})
    after = stats({"cut": [[3, 1, 1], [1, 1, 1]]})
    plan = PruningPlan((PlannedGroup("cut", ("cut",), 4, True, (0,)),))
    assert comparison.re_encoded(before, after, plan, [0]) == []


def test_layers_that_the_plan_does_not_explain_are_left_out() -> None:
    before, after = stats({"l": [[1, 2, 3], [3, 2, 1]]}), stats({"l": [[9, 2], [1, 2]]})
    assert comparison.re_encoded(before, after, None, [0]) == []
