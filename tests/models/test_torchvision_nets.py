import pytest
import torch
from torch import nn
from torchvision.models import get_model

from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import ModelSpec

NAMES = ("resnet18", "resnet34", "resnet50", "vgg11_bn", "vgg16_bn", "mobilenet_v2", "densenet121")


@pytest.mark.parametrize("name", NAMES)
def test_with_1000_classes_they_are_torchvisions_own(name):
    with torch.device("meta"):
        ours = build_net(ModelSpec(name, 1000)).state_dict()
        theirs = get_model(name, weights=None).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


def test_strides_of_mobilenet_are_torchvisions_own():
    with torch.device("meta"):
        ours = build_net(ModelSpec("mobilenet_v2", 1000))
        theirs = get_model("mobilenet_v2", weights=None)
        small = build_net(ModelSpec("mobilenet_v2_small", 1000))

    def strides(net):
        return [m.stride for m in net.modules() if isinstance(m, nn.Conv2d)]

    assert strides(ours) == strides(theirs)
    assert sum(a != b for a, b in zip(strides(ours), strides(small), strict=True)) == 2


def test_small_vgg_ends_in_one_linear_layer():
    net = build_net(ModelSpec("vgg11_bn_small", 5))
    assert [tuple(m.weight.shape) for m in net.modules() if isinstance(m, nn.Linear)] == [(5, 512)]
