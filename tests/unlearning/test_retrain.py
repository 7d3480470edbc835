"""Retraining starts anew and knows nothing of what is to be forgotten."""

from dataclasses import replace

import pytest
import torch

from unlearn_core.errors import UnlearnError
from unlearn_core.params import build
from unlearn_core.unlearning.gradients import flat
from unlearn_core.unlearning.methods.retrain import RetrainParams
from unlearn_core.unlearning.retrain import run

QUICK = {"epochs": 1, "batch_size": 40, "augment": "none", "precision": "float32"}


def test_neither_the_old_weights_nor_the_forget_set_matter(trained, task_of):
    task = task_of()
    other = replace(task, split=replace(task.split, forget=task.split.retain))
    one = run(trained, build(RetrainParams, QUICK), task).model
    with torch.no_grad():
        trained.net.linear.weight.zero_()
    two = run(trained, build(RetrainParams, QUICK), other).model
    assert torch.equal(flat(one), flat(two)) and not torch.equal(flat(one), flat(trained))


def test_a_new_network_has_no_statistics_to_freeze(trained, task_of):
    with pytest.raises(UnlearnError, match="turn freeze_bn off"):
        run(trained, build(RetrainParams, {**QUICK, "freeze_bn": True}), task_of())
