"""Devices, precision and predictions."""

import copy

import pytest
import torch

from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import (
    arithmetic,
    choose_device,
    choose_dtype,
    evaluating,
    layout_for,
    predict,
)
from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import NORMALIZATIONS, ModelSpec


def test_auto_takes_what_is_there():
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device("auto").type == best
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["tpu", "cuda" if not torch.cuda.is_available() else "mps"])
def test_an_absent_device_is_refused(name):
    with pytest.raises(UnlearnError, match=name):
        choose_device(name)


def test_precision():
    assert choose_dtype(torch.device("cpu"), "float32") == torch.float32
    assert choose_dtype(torch.device("cpu"), "bfloat16") == torch.bfloat16
    with pytest.raises(UnlearnError, match="fp8"):
        choose_dtype(torch.device("cpu"), "fp8")
    with arithmetic(torch.device("cpu"), torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_predictions_do_not_depend_on_the_batch_size(trained, colours):
    trained.train()
    whole = predict(trained, colours.test.images)
    torch.testing.assert_close(
        predict(trained, colours.test.images, batch_size=7), whole, rtol=1e-4, atol=1e-4
    )
    assert trained.training
    assert predict(trained, colours.test.images[:0]).numel() == 0


def test_modes_come_back_one_by_one(trained):
    trained.train()
    trained.net.bn1.eval()
    with pytest.raises(ValueError), evaluating(trained):
        assert not any(m.training for m in trained.modules())
        raise ValueError
    assert trained.training and not trained.net.bn1.training


@pytest.mark.parametrize(
    ("arch", "width", "expected"),
    [
        ("cifar_resnet20_b", 1.0, torch.channels_last),
        ("cifar_resnet20_b", 0.5, torch.contiguous_format),
        ("cifar_resnet20_a", 0.5, torch.channels_last),
        ("resnet18_small", 1.0, torch.channels_last),
    ],
)
def test_narrow_strided_shortcuts_are_not_computed_channels_last(arch, width, expected):
    """Their gradients would corrupt memory (uxlfoundation/oneDNN#6035)."""
    assert layout_for(build_net(ModelSpec(arch, 10, width=width))) is expected


def test_gradients_of_narrow_shortcuts_are_those_of_double_precision():
    torch.manual_seed(0)
    net = build_net(ModelSpec("cifar_resnet20_b", 3, width=0.25))
    exact = copy.deepcopy(net).double()
    images = torch.randint(0, 256, (7, 3, 16, 16), dtype=torch.uint8)
    for scaled in (net, exact):
        model = Classifier(scaled, NORMALIZATIONS["none"]).to(next(scaled.parameters()).dtype)
        model(images).square().sum().backward()
    for name, weight in net.named_parameters():
        torch.testing.assert_close(
            weight.grad.double(), dict(exact.named_parameters())[name].grad, rtol=1e-2, atol=1e-3
        )
