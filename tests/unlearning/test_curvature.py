"""The largest curvature against the dense Hessian's eigenvalues."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.func import functional_call, hessian
from torch.nn import functional

from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import evaluating
from unlearn_core.models.specs import Normalization
from unlearn_core.sparsify.mask import SparseMask
from unlearn_core.unlearning.curvature import bound, distance, largest_curvature


@pytest.fixture
def small(colours):
    """A net of 186 parameters, as a classifier of the squares."""
    torch.manual_seed(0)
    nn = torch.nn
    net = nn.Sequential(nn.Conv2d(3, 3, 2, stride=4), nn.Tanh(), nn.Flatten(), nn.Linear(48, 3))
    return Classifier(net, Normalization("own", (0.5,), (0.5,))).eval()


def dense_hessian(model, images):
    parameters = {n: p.detach() for n, p in model.net.named_parameters()}
    sizes = [p.numel() for p in parameters.values()]
    prepared = model.prepare(images.images)

    def loss(vector):
        parts = vector.split(sizes)
        named = {n: v.view(p.shape) for (n, p), v in zip(parameters.items(), parts, strict=True)}
        return functional.cross_entropy(functional_call(model.net, named, (prepared,)), images.labels)

    return hessian(loss)(torch.cat([p.reshape(-1) for p in parameters.values()]))


def test_it_is_the_largest_eigenvalue_among_the_weights_kept(small, colours, task_of):
    images = colours.train.select(torch.arange(0, len(colours.train), 4))
    with evaluating(small):
        whole = dense_hessian(small, images)
    found = largest_curvature(small, images, task_of(), rounds=300)
    assert found == pytest.approx(torch.linalg.eigvalsh(whole).abs().max().item(), rel=0.02)

    keep = torch.rand(small.net[0].weight.shape, generator=torch.Generator().manual_seed(1)) < 0.3
    mask = SparseMask({"0.weight": keep})
    sparse = copy.deepcopy(small)
    mask.enforce(sparse.net)
    with evaluating(sparse):
        whole = dense_hessian(sparse, images)
    kept = torch.cat([keep.flatten(), torch.ones(len(whole) - keep.numel(), dtype=torch.bool)])
    part = whole[kept][:, kept]
    found = largest_curvature(sparse, images, replace(task_of(), mask=mask), rounds=300)
    assert found == pytest.approx(torch.linalg.eigvalsh(part).abs().max().item(), rel=0.02)


def test_the_bound_by_hand():
    assert bound(0.1, 20, 3.0, 5.0) == pytest.approx(3.0)
    assert distance(torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])) == 5.0
