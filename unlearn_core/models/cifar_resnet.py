"""The ResNets for 32x32 images.

Paper: He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385, section 4.2.
Parameter names are those of akamaster/pytorch_resnet_cifar10, so that its checkpoints match strictly.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from unlearn_core.models.specs import ModelSpec

WIDTHS = (16, 32, 64)


class PadShortcut(nn.Module):
    """Option A: every second pixel, and zero channels before and after; no parameters."""

    def __init__(self, in_planes: int, planes: int) -> None:
        super().__init__()
        self.before = (planes - in_planes) // 2
        self.after = planes - in_planes - self.before

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_planes, H, W) -> (N, planes, H/2, W/2)."""
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.before, self.after))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut around them."""

    def __init__(self, in_planes: int, planes: int, stride: int, option: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = _shortcut(in_planes, planes, stride, option)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_planes, H, W) -> (N, planes, H/stride, W/stride)."""
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)) + self.shortcut(x)
        return self.relu2(out)  # type: ignore[no-any-return]


class CifarResNet(nn.Module):
    """ResNet of depth 6n+2: a stem, three stages of n blocks, global average pooling, one linear layer.

    Attributes:
        residual_prunable: False where the shortcut pads (option A): channel k of one stage is then another
            channel of the next, so channels of the residual stream can only be masked, not removed.
    """

    residual_prunable: bool

    def __init__(self, spec: ModelSpec, depth: int, option: str) -> None:
        super().__init__()
        widths = [int(w * spec.width) for w in WIDTHS]
        blocks = (depth - 2) // 6
        self.residual_prunable = option == "B"
        self.conv1 = nn.Conv2d(spec.in_channels, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        self.layer1 = _stage(widths[0], widths[0], blocks, option)
        self.layer2 = _stage(widths[0], widths[1], blocks, option)
        self.layer3 = _stage(widths[1], widths[2], blocks, option)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(widths[2], spec.num_classes)
        self.apply(_init)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, in_channels, H, W) -> logits (N, K)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        return self.linear(torch.flatten(self.pool(out), 1))  # type: ignore[no-any-return]


def _shortcut(in_planes: int, planes: int, stride: int, option: str) -> nn.Module:
    if stride == 1 and in_planes == planes:
        return nn.Identity()
    if option == "A":
        return PadShortcut(in_planes, planes)
    return nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))


def _stage(in_planes: int, planes: int, blocks: int, option: str) -> nn.Sequential:
    first = BasicBlock(in_planes, planes, 1 if in_planes == planes else 2, option)
    return nn.Sequential(first, *(BasicBlock(planes, planes, 1, option) for _ in range(blocks - 1)))


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight)
