import pytest
import torch
from torch import nn

from unlearn_core.checkpoints.normalizing import fit_normalization, own_normalization
from unlearn_core.models.specs import NORMALIZATIONS, ModelSpec, Normalization

SPEC = ModelSpec("cifar_resnet20_a", 2)


class Bright(nn.Module):
    """Class 1 where the mean of the input is above 0, class 0 below: right only when centred rightly."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, 1, 1, bias=False)
        nn.init.ones_(self.mix.weight)

    def forward(self, x):
        mean = self.mix(x).mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean], dim=1)


def images_around(level, n=40):
    values = torch.where(torch.arange(n) % 2 == 0, level - 10, level + 10)
    return values.to(torch.uint8).view(n, 1, 1, 1).expand(n, 3, 4, 4).contiguous(), torch.arange(n) % 2


def test_the_fitting_normalisation_comes_first_with_its_accuracy():
    images, labels = images_around(124)
    right = Normalization("right", (124 / 255,) * 3, (0.25,) * 3)
    found = fit_normalization(Bright(), SPEC, images, labels, [NORMALIZATIONS["none"], right])
    assert found == [(right, 1.0), (NORMALIZATIONS["none"], 0.5)]


def test_equal_accuracies_are_told_apart_by_the_loss():
    images, labels = images_around(124)
    flat = Normalization("flat", (124 / 255,) * 3, (10.0,) * 3)
    sharp = Normalization("sharp", (124 / 255,) * 3, (0.01,) * 3)
    assert [n.name for n, _ in fit_normalization(Bright(), SPEC, images, labels, [flat, sharp])] == [
        "sharp",
        "flat",
    ]


def test_modes_are_given_back_and_no_candidate_is_no_answer():
    net = Bright()
    images, labels = images_around(100)
    fit_normalization(net.train(), SPEC, images, labels, [NORMALIZATIONS["none"]])
    assert net.training and net.mix.training
    assert fit_normalization(net, SPEC, images, labels, []) == []


def test_a_grey_net_gets_grey_statistics():
    images, labels = images_around(124)
    spec = ModelSpec("cifar_resnet20_a", 2, 1)
    (found, accuracy), *_ = fit_normalization(Bright(1), spec, images, labels, [own_normalization(images)])
    assert len(found.mean) == 1 and accuracy == 1.0


def test_own_statistics_are_those_of_torch():
    images = torch.randint(0, 256, (20, 3, 5, 5), dtype=torch.uint8)
    images[:, 2] = 7
    own = own_normalization(images)
    pixels = images.double().div(255).transpose(0, 1).flatten(1)
    assert own.mean == pytest.approx(pixels.mean(dim=1).tolist())
    assert own.std[:2] == pytest.approx(pixels.std(dim=1, correction=0)[:2].tolist())
    assert own.std[2] == 1.0
