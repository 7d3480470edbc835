"""The task that methods are tried on: three colours, one of them to forget."""

import pytest
import torch

from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.registry import build_net
from unlearn_core.unlearning.task import Task


@pytest.fixture
def task_of(colours, colour_card):
    """Makes a task; what is observed goes into the list given."""

    def fresh(seed):
        torch.manual_seed(seed)
        return Classifier(build_net(colour_card.spec), colour_card.normalization)

    def make(report=lambda p: None, observed=None, classes=("green",), fraction=0.0, seed=0):
        rungs = observed if observed is not None else []
        split = split_dataset(colours, ForgetSpec(classes, fraction))
        return Task(split, seed, report, lambda rung, model: rungs.append(rung) or {}, fresh)

    return make
