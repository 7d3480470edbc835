"""Influence unlearning against exact solutions: dense algebra, a linear model's closed gradients, and retraining it."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from unlearn_core.data.sets import ImageSet
from unlearn_core.data.split import ForgetSplit
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.specs import Normalization
from unlearn_core.params import build
from unlearn_core.progress import silent
from unlearn_core.sparsify.mask import SparseMask
from unlearn_core.unlearning.gradients import flat
from unlearn_core.unlearning.influence import run
from unlearn_core.unlearning.methods.influence import InfluenceParams, chunk_size
from unlearn_core.unlearning.task import Task

PLAIN = Normalization("none", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def linear_task(n=400, forgotten=20):
    """A linear softmax model on 2x2 pictures whose labels it can't fit, and some pictures to forget."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 3, 2, 2), generator=generator, dtype=torch.uint8)
    truth = torch.randn(12, 3, generator=generator) * 2
    x = (images / 255).flatten(1)
    labels = torch.multinomial((x @ truth).softmax(1), 1, generator=generator)[:, 0]
    whole = ImageSet(images, labels, torch.arange(n))
    forget, retain = whole.select(torch.arange(forgotten)), whole.select(torch.arange(forgotten, n))
    none = retain.select(torch.arange(0))
    split = ForgetSplit(retain, forget, retain, forget, ("a", "b", "c"), (), "", none)
    model = Classifier(nn.Sequential(nn.Conv2d(3, 3, 2), nn.Flatten()), PLAIN)
    return model, Task(split, 0, silent, lambda rung, model: {}, lambda seed: copy.deepcopy(model)), whole


def minimised(model, images, ridge=1e-3):
    """The model at the minimum of its mean loss with a little L2."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images.images), images.labels)
        loss = loss + ridge / 2 * sum((p * p).sum() for p in model.parameters())
        loss.backward()
        return loss

    optimizer.step(closure)
    return model


def closed_gradients(model, images):
    """(p - onehot) times inputs: the gradient of a softmax model without autograd, in float64."""
    x = (images.images.double() / 255).flatten(1)
    weight, bias = (p.detach().double() for p in model.net.parameters())
    error = (x @ weight.flatten(1).T + bias).softmax(1) - functional.one_hot(images.labels, 3)
    return torch.cat([(error[:, :, None] * x[:, None, :]).flatten(1), error], dim=1)


def closed_step(model, split, damping):
    """H^-1 v by dense algebra on the closed gradients."""
    forget, retain = (closed_gradients(model, s) for s in (split.forget, split.retain))
    whole = len(forget) + len(retain)
    v = forget.sum(0) / whole - len(forget) / (whole * len(retain)) * retain.sum(0)
    fisher = damping * torch.eye(len(v)) + retain.T @ retain / len(retain)
    return torch.linalg.solve(fisher, v)


@pytest.mark.parametrize("memory", [2.0, 1e-6])
def test_woodbury_is_the_dense_solution_of_a_linear_model(memory):
    model, task, whole = linear_task(n=60, forgotten=6)
    before = flat(model).double()
    expected = closed_step(model, task.split, damping=0.1)
    # 1e-6 GiB hold gradients of 6 images: the Gram matrix is then made of many blocks.
    params = replace(build(InfluenceParams, {"samples": 100, "damping": 0.1}), memory=memory)
    facts = run(model, params, task).facts
    assert facts["samples"] == 54 and (facts["samples_at_a_time"] < 10) == (memory < 1)
    torch.testing.assert_close(flat(model).double() - before, expected, rtol=1e-3, atol=1e-6)


def test_leads_to_where_retraining_leads():
    model, task, whole = linear_task(n=2000, forgotten=100)
    original, retrained = (minimised(model, images) for images in (whole, task.split.retain))
    way = flat(retrained) - flat(original)
    unlearned = copy.deepcopy(original)
    run(unlearned, build(InfluenceParams, {"damping": 1e-3, "samples": 2000}), task)
    assert (flat(retrained) - flat(unlearned)).norm() < 0.35 * way.norm()


def small_network():
    """A convolution, a batch norm with statistics of its own, and a linear layer: 171 parameters."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    net[1].running_mean.normal_()
    net[1].running_var.uniform_(0.5, 2)
    return Classifier(net, PLAIN).eval()


def looped_gradients(model, images):
    rows = []
    for image, label in zip(images.images, images.labels, strict=True):
        model.zero_grad()
        functional.cross_entropy(model(image[None]), label[None]).backward()
        rows.append(torch.cat([p.grad.reshape(-1) for p in model.net.parameters()]))
    return torch.stack(rows).double()


@pytest.mark.parametrize("sparse", [False, True])
def test_woodbury_is_the_dense_solution_of_a_small_network(sparse):
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (50, 3, 4, 4), generator=generator, dtype=torch.uint8)
    images = ImageSet(pictures, torch.randint(0, 3, (50,), generator=generator), torch.arange(50))
    forget, retain = images.select(torch.arange(5)), images.select(torch.arange(5, 50))
    none = retain.select(torch.arange(0))
    split = ForgetSplit(retain, forget, retain, forget, ("a", "b", "c"), (), "", none)
    model = small_network()
    keep = torch.rand(4, 3, 3, 3, generator=generator) < 0.5 if sparse else torch.ones(4, 3, 3, 3).bool()
    task = Task(split, 0, silent, lambda rung, m: {}, lambda seed: model, SparseMask({"0.weight": keep}))
    task.enforce(model)
    inside = torch.cat([keep.reshape(-1), torch.ones(171 - 108, dtype=torch.bool)])
    at_forget, at_retain = (looped_gradients(model, s)[:, inside] for s in (forget, retain))
    v = at_forget.sum(0) / 50 - 5 / (50 * 45) * at_retain.sum(0)
    dense = torch.eye(len(v)) + at_retain.T @ at_retain / 45
    before = flat(model)
    run(model, build(InfluenceParams, {"alpha": 3, "samples": 80}), task)
    moved = (flat(model) - before).double()
    assert not moved[~inside].any() and moved[inside].norm() > 1e-2
    torch.testing.assert_close(moved[inside], 3 * torch.linalg.solve(dense, v), rtol=1e-3, atol=1e-6)


def test_the_released_solver_corrects_along_one_gradient_only():
    model, task, whole = linear_task()
    params = build(InfluenceParams, {"solver": "released", "samples": 200})
    untouched, before = copy.deepcopy(model), flat(model).double()
    run(model, params, task)
    v = closed_step(untouched, task.split, 1e12) * 1e12
    correction = (flat(model).double() - before) - v
    along = closed_gradients(untouched, task.split.retain)
    cosines = functional.cosine_similarity(along, correction[None]).abs()
    assert correction.norm() > 1e-3 * v.norm()
    assert cosines.max() > 0.999


def test_a_large_share_is_noted():
    model, task, _ = linear_task(n=60, forgotten=20)
    assert "33 %" in run(model, build(InfluenceParams, {"samples": 10}), task).facts["notes"][0]


def test_chunks_fit_in_memory():
    resnet18 = 11_173_962
    assert chunk_size(1002, resnet18, 2.0) * resnet18 * 4 * 2 <= 2 * 2**30
    assert chunk_size(1002, 272_474, 2.0) == 1002
    assert chunk_size(10, resnet18, 0.001) == 1
