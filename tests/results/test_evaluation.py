"""Accuracies against counts by hand and torch itself."""

import copy
import math

import pytest
import torch

from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.intervals import Tally
from unlearn_core.results.evaluation import (
    Evaluation,
    Predictions,
    evaluate,
    predictions,
    tabulate,
    test_predictions,
)
from unlearn_core.results.plain import to_plain

test_predictions.__test__ = False


def test_shares_by_hand():
    confusion = ((8, 2, 0), (1, 9, 0), (5, 0, 15))
    evaluation = Evaluation(("a", "b", "c"), (2,), confusion, Tally(30, 40), Tally(18, 20))
    plain = to_plain(evaluation)
    assert plain["test_accuracy"] == pytest.approx(32 / 40)
    assert plain["forget_test_accuracy"] == pytest.approx(15 / 20)
    assert plain["retain_test_accuracy"] == plain["ta"] == pytest.approx(17 / 20)
    assert plain["per_class"] == [0.8, 0.9, 0.75]
    assert (plain["ua"], plain["ra"]) == (pytest.approx(0.25), pytest.approx(0.9))
    assert evaluation.class_tally(2) == Tally(15, 20)


def test_a_random_share_has_no_forgotten_test_class():
    plain = to_plain(Evaluation(("a", "b"), (), ((5, 0), (0, 5))))
    assert plain["forget_test_accuracy"] is None
    assert plain["retain_test_accuracy"] == 1.0
    assert plain["ua"] is None


def test_agrees_with_a_plain_forward_pass(trained, colours):
    split = split_dataset(colours, ForgetSpec(("green",)))
    plain = to_plain(evaluate(trained, split))
    with torch.no_grad():
        answers = trained(colours.test.images).argmax(1)
    right = answers == colours.test.labels
    assert plain["test_accuracy"] == pytest.approx(right.double().mean().item())
    assert plain["forget_test_accuracy"] == pytest.approx(
        right[colours.test.labels == 1].double().mean().item()
    )
    with torch.no_grad():
        forgotten = trained(split.forget.images).argmax(1) == 1
    assert plain["ua"] == pytest.approx(1 - forgotten.double().mean().item())


def test_predictions_keep_image_and_confidence(trained, colours):
    split = split_dataset(colours, ForgetSpec(("red",)))
    tested = test_predictions(trained, split)
    assert sorted(tested.indices) == list(range(60))
    image = colours.test.images[int(tested.indices[7])][None]
    with torch.no_grad():
        chances = trained(image).softmax(1)[0]
    assert tested.confidence[7] == pytest.approx(chances[int(tested.labels[7])].item(), abs=1e-5)
    assert sum(map(sum, tabulate(split, tested).confusion)) == 60


def test_no_images_is_no_fault(trained, colours):
    empty = predictions(trained, colours.test.select(torch.arange(0)))
    assert empty.tally() == Tally(0, 0)
    assert math.isnan(empty.tally().share)
    assert isinstance(empty, Predictions)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_weights_that_have_blown_up_are_a_sentence(trained, colours, broken):
    model = copy.deepcopy(trained)
    with torch.no_grad():
        next(reversed(list(model.parameters()))).fill_(broken)
    with pytest.raises(UnlearnError, match="no longer finite"):
        predictions(model, colours.test)
