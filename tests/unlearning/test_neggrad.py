"""NegGrad+: its formula, and its limits."""

import copy

import torch
from torch.nn import functional

from unlearn_core.params import build
from unlearn_core.unlearning import fine_tune
from unlearn_core.unlearning.gradients import flat
from unlearn_core.unlearning.methods.neggrad import NegGradParams
from unlearn_core.unlearning.neggrad import difference, endless, run

QUICK = {
    "epochs": 1,
    "batch_size": 20,
    "lr": 0.02,
    "augment": "none",
    "precision": "float32",
    "freeze_bn": True,
    "momentum": 0,
    "weight_decay": 0,
}


def test_the_formula(trained, colours):
    images, labels = colours.train.images, colours.train.labels
    loss = difference(iter([(images[:5], labels[:5])]), 0.8)(trained, images[5:9], labels[5:9])
    down = functional.cross_entropy(trained(images[5:9]), labels[5:9])
    up = functional.cross_entropy(trained(images[:5]), labels[:5])
    torch.testing.assert_close(loss, 0.8 * down - 0.2 * up)


def test_all_weight_on_the_retain_set_is_fine_tuning(trained, task_of):
    other = copy.deepcopy(trained)
    run(trained, build(NegGradParams, {**QUICK, "beta": 1.0}), task_of())
    fine_tune.run(other, build(fine_tune.FineTuneParams, QUICK), task_of())
    torch.testing.assert_close(flat(trained), flat(other))


def test_the_forget_set_begins_again_and_every_image_has_its_turn(trained, task_of):
    task = task_of()
    stream = endless(trained, build(NegGradParams, QUICK), task)
    rounds = [torch.cat([next(stream)[0], next(stream)[0]]) for _ in range(2)]
    assert [len(r) for r in rounds] == [40, 40]
    assert not torch.equal(rounds[0], rounds[1])
    assert {p.numpy().tobytes() for p in rounds[0]} == {p.numpy().tobytes() for p in rounds[1]}
