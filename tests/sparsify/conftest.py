"""What sparsifiers are tried on: the network of coloured squares, and a task around it."""

import copy

import pytest
import torch

from unlearn_core.checkpoints.model_files import fresh_model
from unlearn_core.params import build
from unlearn_core.progress import silent
from unlearn_core.sparsify.dense import origin_of
from unlearn_core.sparsify.registry import SPARSIFIERS
from unlearn_core.sparsify.task import SparseTask, Stages

QUICK = {"epochs": 2, "lr": 0.05, "batch_size": 32, "augment": "none", "precision": "float32"}


@pytest.fixture
def quick():
    """A sparsifier's settings, short enough for a test."""
    return lambda name, **values: build(SPARSIFIERS[name].params, {**QUICK, **values})


@pytest.fixture
def sparse_task(trained, colours, colour_card):
    """Makes a task for settings."""

    def make(params, *, images=None, recorded=None, report=silent, folder=None, seed=0):
        def fresh(seed):
            return fresh_model(colour_card, seed).eval()

        origin = origin_of(params, recorded, seed)
        model = copy.deepcopy(trained)
        size = tuple(colours.train.images.shape[2:])
        return SparseTask(model, images or colours.train, origin, fresh, size, seed, report, Stages(folder))

    return make


@pytest.fixture
def conv_weights_of():
    """The weights of all convolutions of a network, by name, found by the shape of the parameter."""
    return lambda net: {n: p.detach() for n, p in net.named_parameters() if p.ndim == 4}


@pytest.fixture
def tiny_net():
    """Two convolutions and a classifier with batch norm between: few enough weights to try one by one."""
    torch.manual_seed(3)
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 2, 3, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 3),
    )
    net[1].running_var.uniform_(0.5, 2.0)
    net[1].weight.data.uniform_(-1.0, 1.0)
    return net.eval()
