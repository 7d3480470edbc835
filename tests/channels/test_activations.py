"""Streaming statistics against a plain forward pass that keeps everything."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from unlearn_core.channels.activations import batch_norms, collect, first_per_class, load_stats, save_stats
from unlearn_core.data.sets import ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import NORMALIZATIONS, ModelSpec
from unlearn_core.progress import RunCancelled

CLASSES = ("a", "b", "c")


def images_of(n=30, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8)
    return ImageSet(images, torch.arange(n) % 3, torch.arange(n))


class Tiny(nn.Module):
    """Convolution, batch norm, a ReLU in place or not, and a second convolution without batch norm."""

    def __init__(self, inplace):
        super().__init__()
        torch.manual_seed(1)
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(inplace=inplace)
        self.conv2 = nn.Conv2d(5, 4, 3)
        self.bn1.running_mean.normal_()
        self.bn1.bias.data.normal_()

    def forward(self, x):
        return self.conv2(self.relu(self.bn1(self.conv1(x)))).mean((2, 3))[:, :3]


def tiny(inplace=False):
    return Classifier(Tiny(inplace), NORMALIZATIONS["none"]).eval()


def by_hand(model, images, tap):
    """Everything kept, in float64."""
    net = model.net.double()
    x = images.images.double() / 255
    conv1 = net.conv1(x)
    seen = net.bn1(conv1) if tap == "bn_relu" else conv1
    outputs = {
        "conv1": functional.relu(seen),
        "conv2": functional.relu(net.conv2(functional.relu(net.bn1(conv1)))),
    }
    pooled = {layer: out.mean((2, 3)) for layer, out in outputs.items()}
    return {
        layer: torch.stack([p[images.labels == k].sum(0) for k in range(3)]) for layer, p in pooled.items()
    }


@pytest.mark.parametrize("tap", ["bn_relu", "conv_relu"])
@pytest.mark.parametrize("inplace", [False, True])
def test_equals_a_float64_reference(tap, inplace):
    images = images_of()
    stats = collect(tiny(inplace), images, CLASSES, tap=tap, batch_size=7)
    for layer, expected in by_hand(tiny(), images, tap).items():
        np.testing.assert_allclose(stats.sums[layer], expected.detach().numpy(), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(stats.counts, [10, 10, 10])


def test_whole_is_the_sum_of_its_parts():
    images, model = images_of(), tiny()
    whole = collect(model, images, CLASSES, batch_size=10)
    same_batches = [
        collect(model, images.select(torch.arange(i, i + 10)), CLASSES, batch_size=10) for i in (0, 10, 20)
    ]
    other_batches = [
        collect(model, images.select(images.labels == k), CLASSES, batch_size=4) for k in range(3)
    ]
    exact, close = sum(same_batches[1:], same_batches[0]), sum(other_batches[1:], other_batches[0])
    for layer in whole.layers:
        np.testing.assert_allclose(exact.sums[layer], whole.sums[layer], rtol=1e-12)
        np.testing.assert_allclose(close.sums[layer], whole.sums[layer], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(close.counts, whole.counts)


def test_statistics_of_different_models_do_not_add():
    images, model = images_of(), tiny()
    with pytest.raises(UnlearnError, match="different"):
        collect(model, images, CLASSES) + collect(model, images, CLASSES, tap="conv_relu")


@pytest.mark.parametrize(
    "arch", ["cifar_resnet20_a", "cifar_resnet20_b", "cifar_vgg11", "resnet18_small", "mobilenet_v2_small"]
)
def test_every_convolution_is_read_and_the_model_is_as_before(arch):
    model = Classifier(build_net(ModelSpec(arch, 3)), NORMALIZATIONS["none"]).train()
    model.net.get_submodule(
        next(n for n, m in model.net.named_modules() if isinstance(m, nn.BatchNorm2d))
    ).eval()
    modes = {n: m.training for n, m in model.named_modules()}
    before = {n: t.clone() for n, t in model.net.state_dict().items()}
    stats = collect(model, images_of(6, 32), CLASSES)
    convs = {n: m for n, m in model.net.named_modules() if isinstance(m, nn.Conv2d)}
    assert {layer: s.shape for layer, s in stats.sums.items()} == {
        n: (3, m.out_channels) for n, m in convs.items()
    }
    assert modes == {n: m.training for n, m in model.named_modules()}
    assert all(torch.equal(before[n], t) for n, t in model.net.state_dict().items())
    assert hooks_of(model) == 0


def hooks_of(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize("fault", [RunCancelled, ValueError])
def test_hooks_are_gone_after_an_exception(fault):
    model = tiny().train()

    def report(progress):
        raise fault

    with pytest.raises(fault):
        collect(model, images_of(), CLASSES, report=report)
    assert hooks_of(model) == 0
    assert model.net.training


def test_resnet18_inplace_relu_reads_the_same_as_without():
    torch.manual_seed(0)
    model = Classifier(build_net(ModelSpec("resnet18_small", 3)), NORMALIZATIONS["none"]).eval()
    images = images_of(6, 32)
    read = collect(model, images, CLASSES)
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = not module.inplace
    for layer, sums in collect(model, images, CLASSES).sums.items():
        np.testing.assert_allclose(sums, read.sums[layer], rtol=1e-6)


def test_batch_norms_are_paired_with_their_convolutions():
    net = build_net(ModelSpec("cifar_resnet20_b", 3))
    pairs = batch_norms(net, torch.zeros(2, 3, 32, 32))
    assert pairs["layer2.0.conv1"] == "layer2.0.bn1"
    assert pairs["layer2.0.shortcut.0"] == "layer2.0.shortcut.1"
    assert len(pairs) == sum(isinstance(m, nn.Conv2d) for m in net.modules())


def test_saved_statistics_come_back(tmp_path):
    stats = collect(tiny(), images_of(), CLASSES)
    save_stats(stats, tmp_path / "stats.npz")
    back = load_stats(tmp_path / "stats.npz")
    assert (back.classes, back.tap, back.layers) == (stats.classes, stats.tap, stats.layers)
    assert all(np.array_equal(back.sums[layer], stats.sums[layer]) for layer in stats.layers)


def test_first_per_class_takes_the_first_of_each():
    labels = np.array([0, 0, 1, 0, 2, 1, 1])
    np.testing.assert_array_equal(first_per_class(labels, 2), [0, 1, 2, 4, 5])
    np.testing.assert_array_equal(first_per_class(labels, 0), np.arange(7))


def test_unknown_tap_is_refused():
    with pytest.raises(UnlearnError, match="input"):
        collect(tiny(), images_of(), CLASSES, tap="input")
