"""Gradient ascent climbs the forget set's loss, by the steps that it says."""

import copy

import pytest
import torch
from torch.nn import functional

from unlearn_core.errors import UnlearnError
from unlearn_core.models.inference import predict
from unlearn_core.params import build
from unlearn_core.unlearning.gradient_ascent import run
from unlearn_core.unlearning.methods.gradient_ascent import GradientAscentParams

ONE_STEP = {
    "epochs": 1,
    "batch_size": 1000,
    "momentum": 0,
    "weight_decay": 0,
    "augment": "none",
    "precision": "float32",
    "freeze_bn": True,
}


def loss_on(model, images):
    return functional.cross_entropy(predict(model, images.images), images.labels).item()


def test_one_step_is_the_gradient_added(trained, task_of):
    task = task_of()
    theirs = copy.deepcopy(trained)
    forget = task.split.forget
    functional.cross_entropy(theirs(forget.images), forget.labels).backward()
    run(trained, build(GradientAscentParams, {**ONE_STEP, "lr": 0.1}), task)
    for ours, p in zip(trained.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours, p + 0.1 * p.grad)


def test_climbs_the_forget_loss(trained, task_of):
    task = task_of()
    before = loss_on(trained, task.split.forget)
    run(trained, build(GradientAscentParams, {**ONE_STEP, "epochs": 8, "lr": 0.05}), task)
    assert loss_on(trained, task.split.forget) > 2 * before


def test_a_rate_that_blows_up_is_said(trained, task_of):
    wild = build(GradientAscentParams, {**ONE_STEP, "epochs": 50, "lr": 10, "freeze_bn": True})
    with pytest.raises(UnlearnError, match="learning rate 10 is too high"):
        run(trained, wild, task_of())
