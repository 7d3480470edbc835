"""Boundary Expand: a shadow class that comes and goes."""

from dataclasses import replace

import pytest
import torch

from unlearn_core.models.inference import predict
from unlearn_core.params import build
from unlearn_core.progress import RunCancelled
from unlearn_core.unlearning.boundary_expand import run, widened
from unlearn_core.unlearning.methods.boundary_expand import BoundaryExpandParams

QUICK = {"epochs": 3, "lr": 0.01, "batch_size": 20, "augment": "none", "precision": "float32"}


def test_the_widened_layer_gives_the_old_logits_and_one_more(trained):
    head = trained.net.linear
    wide, again, other = (widened(head, seed) for seed in (1, 1, 2))
    x = torch.randn(5, head.in_features)
    torch.testing.assert_close(wide(x)[:, :3], head(x))
    assert wide.out_features == 4 and torch.equal(wide.weight, again.weight)
    assert not torch.equal(wide.weight[3], other.weight[3])
    assert wide.weight[3].abs().max() <= head.in_features**-0.5


def test_as_many_outputs_are_left_as_there_were(trained, task_of):
    head, task = trained.net.linear, task_of()
    seen = []
    shown = replace(
        task, observe=lambda rung, model: seen.append(model(task.split.test.images[:2]).shape[1]) or {}
    )
    outcome = run(trained, build(BoundaryExpandParams, QUICK), shown)
    assert seen == [3, 3, 3]
    assert outcome.model.net.linear is head and head.weight.shape[0] == head.out_features == 3
    assert set(outcome.model.net.state_dict()) == set(task.fresh(0).net.state_dict())


def test_what_is_observed_is_the_model_that_is_left(trained, task_of):
    task, seen = task_of(), []
    images = task.split.forget.images[:8]
    shown = replace(task, observe=lambda rung, model: seen.append(predict(model, images)) or {})
    outcome = run(trained, build(BoundaryExpandParams, QUICK), shown)
    torch.testing.assert_close(seen[-1], predict(outcome.model, images))
    assert not torch.allclose(seen[0], seen[-1])


def test_the_forget_set_leaves_its_class(trained, task_of):
    task = task_of()
    forget = task.split.forget

    def confidence():
        return predict(trained, forget.images).softmax(1)[:, 1].mean().item()

    before = confidence()
    run(trained, build(BoundaryExpandParams, {**QUICK, "lr": 0.1, "epochs": 8, "freeze_bn": True}), task)
    assert confidence() < before - 0.1


def test_a_cancelled_run_leaves_no_shadow(trained, task_of):
    def report(progress):
        raise RunCancelled

    with pytest.raises(RunCancelled):
        run(trained, build(BoundaryExpandParams, QUICK), task_of(report))
    assert trained.net.linear.out_features == 3
    assert trained(torch.zeros(1, 3, 16, 16, dtype=torch.uint8)).shape == (1, 3)
