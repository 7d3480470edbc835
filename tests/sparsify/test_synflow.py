"""SynFlow against a reference without any gradient: the flow is linear in each single weight."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.specs import NORMALIZATIONS
from unlearn_core.sparsify.synflow import find, flow, positive


def plain_scores(net, ones):
    """What the sum of the logits loses when a weight is taken out: with no sign anywhere, |dR/dw w| is just that."""
    with torch.no_grad():
        whole = net(ones).sum().item()
        scores = {}
        for name, p in net.named_parameters():
            if p.ndim != 4:
                continue
            values = p.view(-1)
            scores[name] = np.empty(len(values))
            for i in range(len(values)):
                value = values[i].item()
                values[i] = 0
                scores[name][i] = whole - net(ones).sum().item()
                values[i] = value
    return scores


def all_absolute(net):
    net = copy.deepcopy(net).double()
    net.load_state_dict({n: t.abs() for n, t in net.state_dict().items()})
    return net


def test_scores_are_what_the_flow_loses_with_the_weight(tiny_net):
    ones = torch.ones(1, 2, 5, 5, dtype=torch.float64)
    got = flow(positive(tiny_net), ones)
    for name, wanted in plain_scores(all_absolute(tiny_net), ones).items():
        assert np.allclose(got[name].numpy().ravel(), wanted, rtol=1e-9)


def test_the_mask_is_that_of_a_plain_reference(tiny_net, quick, sparse_task):
    """Ten rounds to 90 %, weights taken out one list at a time instead of masks and gradients.

    Here one round, or rounds of equal size, would keep other weights.
    """
    ones, rounds = torch.ones(1, 2, 5, 5, dtype=torch.float64), 10
    params = quick("synflow", rounds=rounds, sparsity=0.9)
    drawn = Classifier(copy.deepcopy(tiny_net), NORMALIZATIONS["none"])
    mask = find(params, replace(sparse_task(params), fresh=lambda seed: drawn, size=(5, 5))).mask

    plain = all_absolute(tiny_net)
    alive = [(name, i) for name in ("0.weight", "3.weight") for i in range(54)]
    for k in range(1, rounds + 1):
        scores = plain_scores(plain, ones)
        alive.sort(key=lambda w: -scores[w[0]][w[1]])
        gone = alive[round(108 * 0.1 ** (k / rounds)) :]
        alive = alive[: len(alive) - len(gone)]
        with torch.no_grad():
            for name, i in gone:
                plain.get_parameter(name).view(-1)[i] = 0
    kept = {(n, i) for n, keep in mask.keep.items() for i in keep.flatten().nonzero()[:, 0].tolist()}
    assert kept == set(alive)


def test_sees_no_data_and_starts_from_the_network_as_it_was_drawn(quick, sparse_task, colours):
    params = quick("synflow", rounds=5, sparsity=0.9)
    nothing = colours.train.select(torch.arange(0))
    reports = []
    task = sparse_task(params, images=nothing, report=reports.append)
    found = find(params, task)
    assert found.mask.sparsity() == pytest.approx(0.9, abs=1e-4)
    assert [(p.done, p.total) for p in reports] == [(k, 5) for k in range(1, 6)]
    fresh = task.fresh(task.seed).net.state_dict()
    assert all(torch.equal(found.start[n], t) and found.start[n].dtype == t.dtype for n, t in fresh.items())
    assert any((t < 0).any() for t in found.start.values())  # signs as drawn


def test_does_not_overflow_where_float32_would():
    deep = nn.Sequential(*[nn.Conv2d(1, 1, 1, bias=False) for _ in range(30)])
    for layer in deep:
        nn.init.constant_(layer.weight, -100.0)
    scores = flow(positive(deep), torch.ones(1, 1, 1, 1, dtype=torch.float64))
    assert all(float(s) == pytest.approx(1e60) for s in scores.values())
    nn.init.zeros_(deep[3].weight)
    with pytest.raises(UnlearnError, match="Nothing flows"):
        flow(positive(deep), torch.ones(1, 1, 1, 1, dtype=torch.float64))
