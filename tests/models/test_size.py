"""Sizes counted by hand."""

import torch
from torch import nn

from unlearn_core.models.classifier import Classifier
from unlearn_core.models.size import measure
from unlearn_core.models.specs import NORMALIZATIONS


def test_parameters_and_macs_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 64, 5))
    size = measure(
        Classifier(net, NORMALIZATIONS["none"]), torch.zeros(6, 3, 8, 8, dtype=torch.uint8), repeats=3
    )
    assert size.parameters == (4 * 27 + 4) + (256 * 5 + 5)
    assert size.macs == 64 * 4 * 27 + 256 * 5
    assert (size.batch, size.device) == (6, "cpu")
    assert size.milliseconds > 0
