"""torchvision's nets with any number of classes, and their `_small` variants for 32x32 images.

A `_small` variant keeps the resolution that 32x32 images need: a 3x3 stem with stride 1 and no pooling there.
torchvision is imported inside the functions: it is slow to import, and the CIFAR nets do without it.
"""

from collections import OrderedDict
from typing import Any

from torch import nn

from unlearn_core.models.specs import ModelSpec

_VGG_TABLE = {"vgg11_bn": "A", "vgg16_bn": "D"}  # columns of the paper's table 1


def resnet(spec: ModelSpec, name: str, small: bool) -> nn.Module:
    """torchvision's resnet18, 34 or 50.

    Paper: He et al., CVPR 2016, arXiv:1512.03385; small stem as in section 4.2.
    """
    net = _torchvision(name, spec)
    _fit_stem(net, spec, small, conv="conv1", pool="maxpool")
    return net


def vgg(spec: ModelSpec, name: str, small: bool) -> nn.Module:
    """torchvision's vgg11_bn or vgg16_bn; small: pooled to 1x1, then one linear layer from 512.

    Paper: Simonyan and Zisserman, ICLR 2015, arXiv:1409.1556.
    """
    net = _small_vgg(spec, name) if small else _torchvision(name, spec)
    if spec.in_channels != 3:
        net.set_submodule("features.0", _he(nn.Conv2d(spec.in_channels, 64, 3, padding=1)))
    return net


def mobilenet(spec: ModelSpec, small: bool) -> nn.Module:
    """torchvision's mobilenet_v2; small: strides 1 in the stem and in the 24-channel stage.

    Strides are no parameters, so a file can't tell the two variants apart; a person must say which.
    Paper: Sandler et al., MobileNetV2, CVPR 2018, arXiv:1801.04381, table 2.
    """
    stride = 1 if small else 2
    table = [
        [1, 16, 1, 1],
        [6, 24, 2, stride],
        [6, 32, 3, 2],
        [6, 64, 4, 2],
        [6, 96, 3, 1],
        [6, 160, 3, 2],
        [6, 320, 1, 1],
    ]
    net = _torchvision("mobilenet_v2", spec, inverted_residual_setting=table)
    if small or spec.in_channels != 3:
        net.set_submodule("features.0.0", _stem(spec, 32, 3, stride))
    return net


def densenet(spec: ModelSpec, small: bool) -> nn.Module:
    """torchvision's densenet121.

    Paper: Huang et al., Densely Connected Convolutional Networks, CVPR 2017, arXiv:1608.06993.
    """
    net = _torchvision("densenet121", spec)
    _fit_stem(net, spec, small, conv="features.conv0", pool="features.pool0")
    return net


def _fit_stem(net: nn.Module, spec: ModelSpec, small: bool, *, conv: str, pool: str) -> None:
    """Fits the first convolution, and the pooling behind it, to images that are small or have other channels than 3."""
    if small:
        net.set_submodule(conv, _stem(spec, 64, 3, 1))
        net.set_submodule(pool, nn.Identity())
    elif spec.in_channels != 3:
        net.set_submodule(conv, _stem(spec, 64, 7, 2))


def _torchvision(name: str, spec: ModelSpec, **options: Any) -> nn.Module:
    from torchvision.models import get_model  # slow to import

    net: nn.Module = get_model(name, weights=None, num_classes=spec.num_classes, **options)
    return net


def _small_vgg(spec: ModelSpec, name: str) -> nn.Module:
    """torchvision's convolutions under torchvision's names, without ever making its half gigabyte of head."""
    from torchvision.models import vgg  # slow to import

    features: nn.Sequential = vgg.make_layers(vgg.cfgs[_VGG_TABLE[name]], batch_norm=True)
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            _he(layer)
    head = nn.Sequential(_head(512, spec))
    parts = {
        "features": features,
        "avgpool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "classifier": head,
    }
    return nn.Sequential(OrderedDict(parts))


def _stem(spec: ModelSpec, planes: int, kernel: int, stride: int) -> nn.Conv2d:
    return _he(nn.Conv2d(spec.in_channels, planes, kernel, stride, kernel // 2, bias=False))


def _head(channels: int, spec: ModelSpec) -> nn.Linear:
    head = nn.Linear(channels, spec.num_classes)
    nn.init.normal_(head.weight, 0, 0.01)
    nn.init.zeros_(head.bias)
    return head


def _he(conv: nn.Conv2d) -> nn.Conv2d:
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
