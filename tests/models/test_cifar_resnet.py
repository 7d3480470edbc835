import pytest
import torch
from torch import nn
from torch.nn import functional

from unlearn_core.models.cifar_resnet import PadShortcut
from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import ModelSpec


def parameters(arch, **spec):
    return sum(p.numel() for p in build_net(ModelSpec(arch, 10, **spec)).parameters())


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_parameters_are_those_of_table_6_of_the_paper(depth, millions):
    assert parameters(f"cifar_resnet{depth}_a") / 1e6 == pytest.approx(millions, rel=0.02)


def test_option_b_adds_its_two_convolutions_and_norms():
    added = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert parameters("cifar_resnet20_b") - parameters("cifar_resnet20_a") == added


def test_the_padding_shortcut_is_the_published_one():
    x = torch.randn(2, 16, 8, 8)
    published = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8), "constant", 0)
    assert torch.equal(PadShortcut(16, 32)(x), published)
    assert PadShortcut(1, 2)(x[:, :1]).shape == (2, 2, 4, 4)


def test_names_are_those_of_the_published_checkpoints():
    names = set(build_net(ModelSpec("cifar_resnet20_a", 10)).state_dict())
    for name in ("conv1.weight", "bn1.running_mean", "layer3.2.conv2.weight", "linear.bias"):
        assert name in names
    assert not any("shortcut" in name for name in names)
    assert "layer2.0.shortcut.1.weight" in build_net(ModelSpec("cifar_resnet20_b", 10)).state_dict()


def test_the_forward_pass_is_the_one_written_out_by_functions():
    torch.manual_seed(0)
    net = build_net(ModelSpec("cifar_resnet20_a", 5, width=0.25)).eval()
    x = torch.randn(3, 3, 32, 32)
    out = functional.relu(net.bn1(net.conv1(x)))
    for block in (b for stage in (net.layer1, net.layer2, net.layer3) for b in stage):
        inner = block.bn2(block.conv2(functional.relu(block.bn1(block.conv1(out)))))
        out = functional.relu(inner + block.shortcut(out))
    expected = functional.avg_pool2d(out, 8).flatten(1) @ net.linear.weight.T + net.linear.bias
    torch.testing.assert_close(net(x), expected)


def test_relus_are_modules_that_leave_their_input_alone():
    net = build_net(ModelSpec("cifar_resnet20_b", 10))
    relus = [m for m in net.modules() if isinstance(m, nn.ReLU)]
    assert len(relus) == 19 and not any(relu.inplace for relu in relus)
    assert net.residual_prunable
    assert not build_net(ModelSpec("cifar_resnet20_a", 10)).residual_prunable
