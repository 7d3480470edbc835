"""Feature maps, compared with running the layers by hand and with brute force."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from unlearn_core.channels.activations import collect
from unlearn_core.channels.feature_maps import (
    Survey,
    class_histogram,
    image_maps,
    most_confident,
    scale_range,
    survey,
    top_images,
)
from unlearn_core.channels.survey_size import survey_bytes
from unlearn_core.data.sets import ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import ModelSpec, Normalization
from unlearn_core.progress import Progress, RunCancelled

CLASSES = 3


def net(arch: str = "cifar_resnet20_b", width: float = 0.25) -> Classifier:
    """A small net whose batch norms do something."""
    torch.manual_seed(0)
    model = Classifier(
        build_net(ModelSpec(arch, CLASSES, width=width)), Normalization("none", (0.4,), (0.3,))
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
    return model.eval()


def images(count: int = 10, side: int = 16) -> ImageSet:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    return ImageSet(pixels, torch.arange(count) % CLASSES, torch.arange(count) + 100)


def by_hand(model: Classifier, batch: Tensor) -> dict[str, Tensor]:
    """Stem and first block of the residual net, layer by layer."""
    net_ = model.net
    block = net_.layer1[0]
    x = (batch.float() / 255 - 0.4) / 0.3
    stem = functional.relu(net_.bn1(functional.conv2d(x, net_.conv1.weight, padding=1)))
    inner = functional.relu(block.bn1(functional.conv2d(stem, block.conv1.weight, padding=1)))
    outer = functional.relu(block.bn2(functional.conv2d(inner, block.conv2.weight, padding=1)))
    return {"conv1": stem, "layer1.0.conv1": inner, "layer1.0.conv2": outer}


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_maps_are_those_of_the_layers_run_by_hand() -> None:
    model, some = net(), images()
    with torch.no_grad():
        expected = by_hand(model, some.images[3:4])
        logits = model(some.images[3:4])
    found = image_maps(model, some.images[3])
    for layer, maps in expected.items():
        np.testing.assert_allclose(found.maps[layer], maps[0].numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.probabilities, logits.softmax(dim=1)[0].numpy(), rtol=1e-5)


def test_raw_convolution_tap_reads_before_batch_norm() -> None:
    model, some = net(), images()
    with torch.no_grad():
        x = (some.images[:1].float() / 255 - 0.4) / 0.3
        expected = functional.relu(functional.conv2d(x, model.net.conv1.weight, padding=1))
    found = image_maps(model, some.images[0], tap="conv_relu")
    np.testing.assert_allclose(found.maps["conv1"], expected[0].numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("arch", ["cifar_resnet20_a", "cifar_vgg11"])
def test_survey_agrees_with_image_after_image(arch: str) -> None:
    model = net(arch, 0.125)
    some = images(7, side=32)
    one_by_one = [image_maps(model, image) for image in some.images]
    found = survey(model, some, CLASSES, batch_size=3)
    assert list(found.layers) == list(one_by_one[0].maps)
    for layer, seen in found.layers.items():
        maps = np.stack([one.maps[layer] for one in one_by_one])
        np.testing.assert_allclose(seen.means, maps.mean(axis=(2, 3)), rtol=1e-4, atol=1e-6)
        for k in range(CLASSES):
            expected = maps[some.labels.numpy() == k].mean(axis=0)
            np.testing.assert_allclose(seen.class_maps[k], expected, rtol=1e-4, atol=1e-5)
    expected = np.stack([one.probabilities for one in one_by_one])
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-4, atol=1e-6)
    assert found.indices.tolist() == [100, 101, 102, 103, 104, 105, 106]


def test_survey_agrees_with_the_statistics_that_scores_are_made_from() -> None:
    model, some = net(), images()
    stats = collect(model, some, ("a", "b", "c"))
    found = survey(model, some, CLASSES)
    for layer in stats.layers:
        sums = [found.layers[layer].means[some.labels.numpy() == k].sum(axis=0) for k in range(CLASSES)]
        np.testing.assert_allclose(np.stack(sums), stats.sums[layer], rtol=1e-4, atol=1e-5)


def test_mean_maps_of_large_layers_are_pooled_and_keep_their_mean() -> None:
    model = net(width=0.125)
    some = images(3, side=64)
    found = survey(model, some, CLASSES, ["conv1"])
    assert list(found.layers) == ["conv1"]
    stem = found.layers["conv1"]
    assert stem.class_maps.shape == (CLASSES, 2, 32, 32)
    np.testing.assert_allclose(stem.class_maps.mean(axis=(2, 3)), stem.means, rtol=1e-4)


def test_a_class_without_images_has_no_mean_map() -> None:
    found = survey(net(), images(2), CLASSES, ["conv1"])
    assert np.isnan(found.layers["conv1"].class_maps[2]).all()
    assert np.isfinite(found.layers["conv1"].class_maps[:2]).all()


def test_memory_of_a_survey_is_foretold() -> None:
    some = images(5, side=64)
    model = net(width=0.125)
    shapes = {layer: maps.shape for layer, maps in image_maps(model, some.images[0]).maps.items()}
    found = survey(model, some, CLASSES)
    kept = sum(seen.means.nbytes + seen.class_maps.nbytes for seen in found.layers.values())
    assert survey_bytes(shapes, len(some), CLASSES) == kept


def test_hooks_are_gone_and_modes_restored_also_after_an_exception() -> None:
    model, some = net(), images()
    model.train()
    model.net.layer2.eval()
    modes = [m.training for m in model.modules()]

    def stop(progress: Progress) -> None:
        raise RunCancelled

    with pytest.raises(RunCancelled):
        survey(model, some, CLASSES, report=stop)
    with pytest.raises(RuntimeError):
        image_maps(model, some.images[0, :, :0, :0])
    image_maps(model, some.images[0])
    assert hooks(model) == 0
    assert [m.training for m in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())


def test_progress_counts_batches() -> None:
    seen: list[Progress] = []
    survey(net(), images(5), CLASSES, ["conv1"], batch_size=2, report=seen.append)
    assert [(p.done, p.total) for p in seen] == [(1, 3), (2, 3), (3, 3)]


def test_top_images_equal_brute_force() -> None:
    means = np.random.default_rng(0).random((50, 4)).astype(np.float32)
    means[7, 2] = means[3, 2] = 2.0
    found = top_images(means, 2, 9).tolist()
    assert found[:2] == [3, 7]
    assert [means[i, 2] for i in found] == sorted(means[:, 2], reverse=True)[:9]


def test_scales_cover_what_they_name() -> None:
    maps = {
        "a": np.array([[[1.0, 2.0]], [[0.5, 8.0]]], np.float32),
        "b": np.array([[[0.25, 16.0]]], np.float32),
    }
    assert vars(scale_range(maps, "a", 0, "unit")) == {"low": 1.0, "high": 2.0}
    assert vars(scale_range(maps, "a", 0, "layer")) == {"low": 0.5, "high": 8.0}
    assert vars(scale_range(maps, "a", 0, "network")) == {"low": 0.25, "high": 16.0}
    with pytest.raises(UnlearnError, match="'galaxy'"):
        scale_range(maps, "a", 0, "galaxy")


def test_most_confident_is_rightly_classified() -> None:
    chances = np.array([[0.6, 0.4], [0.1, 0.9], [0.7, 0.3], [0.8, 0.2]], np.float32)
    found = Survey({}, chances, np.array([0, 0, 0, 1]), np.arange(4))
    assert most_confident(found, 0) == 2
    assert most_confident(found, 1) is None


def test_histogram_by_class_counts_every_image_once() -> None:
    values = np.array([0.0, 0.1, 0.9, 1.0, 1.0], np.float32)
    labels = np.array([0, 0, 0, 1, 1])
    edges, shares = class_histogram(values, labels, 3, bins=2)
    assert edges.tolist() == [0.0, 0.5, 1.0]
    np.testing.assert_allclose(shares, [[2 / 3, 1 / 3], [0, 1], [0, 0]])
    assert class_histogram(np.zeros(5, np.float32), labels, 3)[1][1, 0] == 1.0


def test_what_cannot_be_surveyed_is_named() -> None:
    with pytest.raises(UnlearnError, match="'layer9'"):
        survey(net(), images(), CLASSES, ["layer9"])
    with pytest.raises(UnlearnError, match="no images"):
        survey(net(), images(0), CLASSES)
    with pytest.raises(UnlearnError, match="'soup'"):
        image_maps(net(), images().images[0], tap="soup")
