"""Boundary Shrink: the nearest other class, found by a bounded step up the loss."""

import pytest
import torch
from torch.nn import functional

from unlearn_core.errors import UnlearnError
from unlearn_core.models.inference import predict
from unlearn_core.params import build
from unlearn_core.unlearning.boundary_shrink import moved, nearest_classes, run
from unlearn_core.unlearning.methods.boundary_shrink import BoundaryShrinkParams

QUICK = {"epochs": 3, "lr": 0.01, "batch_size": 20, "augment": "none", "precision": "float32"}


def test_pixels_move_by_the_bound_up_the_loss(trained, colours):
    images, labels = colours.train.images[:10], colours.train.labels[:10]
    found = moved(trained, images, labels, 0.05)
    way = found - images / 255
    assert way.abs().max() <= 0.05 + 1e-6 and found.min() >= 0 and found.max() <= 1
    assert (way.abs() > 0.049).float().mean() > 0.9
    before, after = (functional.cross_entropy(trained(x), labels) for x in (images, found))
    assert after > before


def test_no_image_keeps_its_class(trained, task_of):
    task = task_of()
    params = build(BoundaryShrinkParams, {"bound": 0.3, "batch_size": 7})
    nearest, crossed = nearest_classes(trained, params, task)
    labels = task.split.forget.labels
    assert (nearest != labels).all() and crossed.any()
    landed = trained(moved(trained, task.split.forget.images, labels, 0.3)).argmax(1)
    assert torch.equal(nearest[crossed], landed[crossed]) and (landed[~crossed] == labels[~crossed]).all()


def test_uncrossed_images_take_the_runner_up_or_stay_out(trained, task_of):
    task = task_of()
    still = build(BoundaryShrinkParams, {**QUICK, "bound": 0.0, "uncrossed": "exclude", "epochs": 1})
    logits = predict(trained, task.split.forget.images)
    nearest, crossed = nearest_classes(trained, still, task)
    right = logits.argmax(1) == task.split.forget.labels
    assert torch.equal(~crossed, right)
    assert torch.equal(nearest[right], logits.topk(2).indices[right, 1])
    if right.all():
        with pytest.raises(UnlearnError, match="raise bound"):
            run(trained, still, task)
    else:
        assert run(trained, still, task).facts["images"] == int(crossed.sum())


def test_the_forget_set_leaves_its_class(trained, task_of):
    task = task_of()
    forget = task.split.forget
    before = (predict(trained, forget.images).argmax(1) == forget.labels).float().mean()
    run(trained, build(BoundaryShrinkParams, {**QUICK, "lr": 0.05, "epochs": 8}), task)
    after = (predict(trained, forget.images).argmax(1) == forget.labels).float().mean()
    assert after < before - 0.3
