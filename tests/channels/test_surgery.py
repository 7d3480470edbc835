"""Silencing and cutting, against each other and against widths counted by hand."""

import pytest
import torch
from torch import nn

from unlearn_core.channels.pruning import PlannedGroup, PruningPlan, choose_groups
from unlearn_core.channels.surgery import channel_groups, mask_of, remove, silenced
from unlearn_core.errors import UnlearnError
from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import ModelSpec

ARCHITECTURES = [
    "cifar_resnet20_a",
    "cifar_resnet20_b",
    "cifar_vgg11",
    "resnet18_small",
    "mobilenet_v2_small",
    "densenet121_small",
]


def net_of(arch, width=1.0):
    """A network whose batch norms are no identity, as after training."""
    torch.manual_seed(0)
    net = build_net(ModelSpec(arch, 5, width=width)).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
    return net


def example(seed=0):
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def plan_of(groups, per_group=2):
    return PruningPlan(
        tuple(
            PlannedGroup(g.name, g.layers, g.size, g.removable, tuple(range(1, 1 + per_group)))
            for g in groups
            if g.size > per_group + 1
        )
    )


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_cutting_computes_what_silencing_computes(arch):
    net = net_of(arch)
    plan = plan_of(channel_groups(net, example())[-6:])
    assert any(g.removable for g in plan.groups)
    pruned = remove(net, plan, example())
    with silenced(net, plan, example()), torch.no_grad():
        expected = net(example(1))
    with torch.no_grad():
        torch.testing.assert_close(pruned(example(1)), expected, rtol=1e-3, atol=1e-4)


def test_resnet_groups():
    groups = {g.name: g for g in channel_groups(net_of("cifar_resnet20_b"), example())}
    assert groups["layer1.0.conv1"].removable and groups["layer1.0.conv1"].inner
    assert not groups["layer1.0.conv2"].removable
    assert groups["layer3.2.conv1"].side == 8
    assert len(groups) == 21  # 19 convolutions and two shortcuts of option B
    last = choose_groups(list(groups.values()), "last_convs")
    assert [g.name for g in last] == ["layer3.1.conv1", "layer3.1.conv2", "layer3.2.conv1", "layer3.2.conv2"]


def test_residual_sums_can_be_cut_as_one():
    net = net_of("cifar_resnet20_b")
    groups = channel_groups(net, example(), "group")
    last = next(g for g in groups if "layer3.2.conv2" in g.layers)
    assert set(last.layers) == {"layer3.0.conv2", "layer3.0.shortcut.0", "layer3.1.conv2", "layer3.2.conv2"}
    plan = PruningPlan((PlannedGroup(last.name, last.layers, 64, True, (3, 5, 60)),))
    pruned = remove(net, plan, example())
    assert pruned.linear.in_features == 61
    assert pruned.get_submodule("layer3.1.conv1").in_channels == 61


def test_option_a_refuses_to_cut_residual_sums():
    with pytest.raises(UnlearnError, match="option A"):
        channel_groups(net_of("cifar_resnet20_a"), example(), "group")


def test_option_a_keeps_residual_widths():
    net = net_of("cifar_resnet20_a")
    pruned = remove(net, plan_of(channel_groups(net, example())), example())
    assert pruned.get_submodule("layer1.0.conv1").out_channels == 14
    assert pruned.get_submodule("layer1.0.conv2").out_channels == 16
    assert pruned.linear.in_features == 64


def test_vgg_widths_shrink():
    net = net_of("cifar_vgg11", 0.25)
    pruned = remove(net, plan_of(channel_groups(net, example())), example())
    widths = [m.out_channels for m in pruned.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [m.out_channels - 2 for m in net.modules() if isinstance(m, nn.Conv2d)]


def test_silencing_is_undone_also_after_an_exception():
    net = net_of("cifar_resnet20_a")
    before = {n: t.clone() for n, t in net.state_dict().items()}
    plan = plan_of(channel_groups(net, example()))
    with pytest.raises(ValueError), silenced(net, plan, example()):
        assert not torch.equal(net.conv1.weight, before["conv1.weight"])
        raise ValueError
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())


def test_a_silenced_channel_emits_nothing():
    net = net_of("cifar_resnet20_b")
    plan = PruningPlan((PlannedGroup("layer2.1.conv1", ("layer2.1.conv1",), 32, True, (0, 7)),))
    emitted = []
    net.get_submodule("layer2.1.bn1").register_forward_hook(lambda m, i, out: emitted.append(out))
    with silenced(net, plan, example()), torch.no_grad():
        net(example())
    assert not emitted[-1][:, [0, 7]].any()
    assert emitted[-1][:, 1].any()


def test_mask_keeps_channels_silent_through_training():
    net = net_of("cifar_resnet20_b")
    plan = PruningPlan((PlannedGroup("layer3.2.conv2", ("layer3.2.conv2",), 64, False, (1, 2)),))
    mask = mask_of(net, plan, example())
    assert set(mask.rows) == {"layer3.2.conv2.weight", "layer3.2.bn2.weight", "layer3.2.bn2.bias"}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    net.train()
    for _ in range(3):
        net(example()).square().mean().backward()
        optimizer.step()
        mask.enforce(net)
    assert not net.get_submodule("layer3.2.bn2").bias[[1, 2]].any()
    assert net.get_submodule("layer3.2.bn2").bias[[0, 3]].all()


def test_a_plan_for_another_model_is_refused():
    plan = PruningPlan((PlannedGroup("conv1", ("conv1",), 99, True, (0,)),))
    with pytest.raises(UnlearnError, match="another model"):
        remove(net_of("cifar_resnet20_b"), plan, example())


def test_gradients_and_modes_are_left_alone():
    net = net_of("cifar_resnet20_b").train()
    channel_groups(net, example())
    assert all(p.grad is None for p in net.parameters())
    assert all(m.training for m in net.modules())
