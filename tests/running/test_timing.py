"""What is measured takes time, less than measuring it took, and leaves the model as it was."""

import copy
import time
from collections.abc import Callable

import pytest
import torch

from unlearn_core.data.sets import Dataset, ImageSet
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.recipe import Recipe
from unlearn_core.running import timing

STEP = Recipe(batch_size=16, precision="float32")


@pytest.mark.parametrize(
    ("measure", "images"),
    [
        (lambda model, images: timing.step_seconds(model, images, STEP), 1),
        (lambda model, images: timing.gradient_seconds(model, images)[0], 16),
        (lambda model, images: timing.gradient_seconds(model, images)[1], 1),
        (timing.answer_seconds, 16),
        (timing.flow_seconds, 1),
    ],
)
def test_a_measurement_takes_time_and_changes_nothing(
    trained: Classifier, colours: Dataset, measure: Callable[[Classifier, ImageSet], float], images: int
) -> None:
    before = copy.deepcopy(trained.state_dict())
    few = colours.train.select(torch.arange(16))
    started = time.perf_counter()
    assert 0 < images * measure(trained, few) < time.perf_counter() - started
    assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())
    assert not trained.training
