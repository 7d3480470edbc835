"""Every net that Lethe can build, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from unlearn_core.errors import UnlearnError
from unlearn_core.models import torchvision_nets
from unlearn_core.models.cifar_resnet import CifarResNet
from unlearn_core.models.cifar_vgg import CifarVGG
from unlearn_core.models.specs import ModelSpec


@dataclass(frozen=True)
class Architecture:
    """One net.

    Attributes:
        name: What the command line and the cards say.
        label: What the page shows.
        family: cifar_resnet, cifar_vgg, resnet, vgg, mobilenet or densenet.
        build: Gives the net for a spec, initialised from torch's current generator.
        image_size: The input size in pixels that the net was made for.
        narrowest: Channels of its narrowest layer where `width` may differ from 1, else 0.
    """

    name: str
    label: str
    family: str
    build: Callable[[ModelSpec], nn.Module]
    image_size: int = 32
    narrowest: int = 0


def build_net(spec: ModelSpec) -> nn.Module:
    """The net of a spec, with random weights from torch's current generator.

    Raises:
        UnlearnError: Unknown architecture, or a width or channel count that it can't have.
    """
    architecture = find_architecture(spec.arch)
    _check_input_and_width(spec, architecture)
    return architecture.build(spec)


def build_shell(spec: ModelSpec) -> nn.Module:
    """The net of a spec without memory or random numbers, on the meta device: its names and shapes.

    Raises:
        UnlearnError: As `build_net`.
    """
    with torch.device("meta"), _Undrawn():
        return build_net(spec)


class _Undrawn(TorchFunctionMode):
    """Nothing is drawn from a normal distribution: on the meta device PyTorch imports its compiler for that, seconds long."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The tensor itself where it was to be drawn; all else as ever."""
        if func in (Tensor.normal_, nn.init.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def find_architecture(name: str) -> Architecture:
    """The architecture of this name.

    Raises:
        UnlearnError: There is none.
    """
    if name not in ARCHITECTURES:
        raise UnlearnError(
            f"The architecture {name!r} is not known; choose one of: {', '.join(ARCHITECTURES)}."
        )
    return ARCHITECTURES[name]


def _check_input_and_width(spec: ModelSpec, architecture: Architecture) -> None:
    if spec.in_channels not in (1, 3):
        raise UnlearnError(f"A net with {spec.in_channels} input channels can't be used; it takes 3 or 1.")
    if spec.width == 1:
        return
    if not architecture.narrowest:
        raise UnlearnError(f"{spec.arch} has no width {spec.width:g}; it is only there with width 1.")
    channels = architecture.narrowest * spec.width
    if channels < 1 or channels != int(channels):
        raise UnlearnError(
            f"{spec.arch} can't have the width {spec.width:g}: its first layer would have {channels:g} "
            f"channels; choose a multiple of 1/{architecture.narrowest}."
        )


def _cifar_resnets() -> list[Architecture]:
    shortcuts = {"A": "padding shortcut", "B": "1x1 shortcut"}
    return [
        Architecture(
            name=f"cifar_resnet{depth}_{option.lower()}",
            label=f"ResNet-{depth} for CIFAR ({words})",
            family="cifar_resnet",
            build=partial(CifarResNet, depth=depth, option=option),
            narrowest=16,
        )
        for depth in (20, 32, 44, 56, 110)
        for option, words in shortcuts.items()
    ]


def _cifar_vggs() -> list[Architecture]:
    return [
        Architecture(
            name=f"cifar_vgg{depth}",
            label=f"VGG-{depth} with batch norm for CIFAR",
            family="cifar_vgg",
            build=partial(CifarVGG, depth=depth),
            narrowest=64,
        )
        for depth in (11, 13, 16, 19)
    ]


def _torchvision_pair(
    name: str, label: str, family: str, build: Callable[..., nn.Module]
) -> list[Architecture]:
    full = Architecture(name, label, family, partial(build, small=False), image_size=224)
    small = Architecture(f"{name}_small", f"{label} for small images", family, partial(build, small=True))
    return [full, small]


def _all_architectures() -> list[Architecture]:
    nets = torchvision_nets
    return [
        *_cifar_resnets(),
        *_cifar_vggs(),
        *_torchvision_pair("resnet18", "ResNet-18", "resnet", partial(nets.resnet, name="resnet18")),
        *_torchvision_pair("resnet34", "ResNet-34", "resnet", partial(nets.resnet, name="resnet34")),
        *_torchvision_pair("resnet50", "ResNet-50", "resnet", partial(nets.resnet, name="resnet50")),
        *_torchvision_pair("vgg11_bn", "VGG-11 with batch norm", "vgg", partial(nets.vgg, name="vgg11_bn")),
        *_torchvision_pair("vgg16_bn", "VGG-16 with batch norm", "vgg", partial(nets.vgg, name="vgg16_bn")),
        *_torchvision_pair("mobilenet_v2", "MobileNetV2", "mobilenet", nets.mobilenet),
        *_torchvision_pair("densenet121", "DenseNet-121", "densenet", nets.densenet),
    ]


ARCHITECTURES: Mapping[str, Architecture] = {a.name: a for a in _all_architectures()}
