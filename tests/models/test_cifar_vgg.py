import pytest
import torch
from torch import nn

from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import ModelSpec


@pytest.mark.parametrize(("depth", "convolutions"), [(11, 8), (13, 10), (16, 13), (19, 16)])
def test_depth_counts_the_layers_of_the_paper(depth, convolutions):
    # The paper counts three linear layers at the end; for small images one is enough.
    net = build_net(ModelSpec(f"cifar_vgg{depth}", 10))
    assert sum(isinstance(m, nn.Conv2d) for m in net.modules()) == convolutions == depth - 3
    assert sum(isinstance(m, nn.Linear) for m in net.modules()) == 1


def test_width_scales_every_layer():
    full = [
        m.out_channels for m in build_net(ModelSpec("cifar_vgg11", 10)).features if isinstance(m, nn.Conv2d)
    ]
    narrow = build_net(ModelSpec("cifar_vgg11", 10, width=0.25))
    assert [m.out_channels for m in narrow.features if isinstance(m, nn.Conv2d)] == [c // 4 for c in full]
    assert full == [64, 128, 256, 256, 512, 512, 512, 512]
    assert narrow.classifier.in_features == 128


def test_the_convolutions_are_those_of_torchvision():
    ours = build_net(ModelSpec("cifar_vgg11", 10))
    theirs = build_net(ModelSpec("vgg11_bn_small", 10))
    ours.features.load_state_dict(theirs.features.state_dict())
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(ours.eval().features(x), theirs.eval().features(x))


def test_relus_leave_their_input_alone():
    assert not any(
        m.inplace for m in build_net(ModelSpec("cifar_vgg11", 10)).modules() if isinstance(m, nn.ReLU)
    )
