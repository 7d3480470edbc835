"""SalUn moves the salient weights and no others, bit for bit."""

import copy
from dataclasses import replace

import torch
from torch.nn import functional

from unlearn_core.params import build
from unlearn_core.sparsify.mask import SparseMask
from unlearn_core.unlearning import random_label
from unlearn_core.unlearning.gradients import flat
from unlearn_core.unlearning.methods.random_label import RandomLabelParams
from unlearn_core.unlearning.methods.salun import SalUnParams
from unlearn_core.unlearning.salun import run, saliency

QUICK = {"epochs": 2, "batch_size": 20, "lr": 0.02, "augment": "none", "precision": "float32"}


def test_frozen_weights_are_unchanged_bit_for_bit(trained, task_of):
    params, task = build(SalUnParams, {**QUICK, "salient": 0.3}), task_of()
    mask, before = saliency(trained, params, task), flat(trained)
    outcome = run(trained, params, task)
    after = flat(outcome.model)
    assert torch.equal(after[~mask], before[~mask])
    assert (after[mask] != before[mask]).float().mean() > 0.99
    assert outcome.facts["salient_weights"] == round(0.3 * len(before)) == int(mask.sum())


def test_the_mask_is_the_top_of_the_summed_gradients_size(trained, task_of):
    task = task_of()
    forget = task.split.forget
    mask = saliency(trained, build(SalUnParams, {"salient": 0.2, "batch_size": 7}), task)
    functional.cross_entropy(trained(forget.images), forget.labels, reduction="sum").backward()
    size = torch.cat([p.grad.reshape(-1) for p in trained.net.parameters()]).abs()
    assert size[mask].min() >= 0.99 * size[~mask].max()


def test_with_every_weight_salient_it_is_random_labels(trained, task_of):
    other = copy.deepcopy(trained)
    run(trained, build(SalUnParams, {**QUICK, "salient": 1.0}), task_of())
    random_label.run(other, build(RandomLabelParams, QUICK), task_of())
    assert torch.equal(flat(trained), flat(other))


def test_pruned_weights_are_never_salient(trained, task_of):
    name = "layer2.0.conv1.weight"
    keep = torch.zeros_like(trained.net.get_parameter(name), dtype=torch.bool)
    task = replace(task_of(), mask=SparseMask({name: keep}))
    task.enforce(trained)
    mask = saliency(trained, build(SalUnParams, {"salient": 1.0}), task)
    assert int((~mask).sum()) == keep.numel()
