"""VGG with batch norm for 32x32 images: the convolutions of VGG, then one linear layer.

Paper: Simonyan and Zisserman, Very Deep Convolutional Networks, ICLR 2015, arXiv:1409.1556, table 1.
Parameter names are those of kuangliu/pytorch-cifar, so that its checkpoints match strictly.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unlearn_core.models.specs import ModelSpec

# Channels of the convolutions of each stage; a 2x2 max-pool ends a stage.
STAGES = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    13: ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3),
    19: ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}


class CifarVGG(nn.Module):
    """VGG-11, 13, 16 or 19 with batch norm, global average pooling and one linear layer."""

    residual_prunable = True  # there is no residual stream, so nothing is in the way

    def __init__(self, spec: ModelSpec, depth: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*_layers(spec, depth))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(int(512 * spec.width), spec.num_classes)
        self.apply(_init)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, in_channels, H, W), at least 32x32 -> logits (N, K)."""
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))  # type: ignore[no-any-return]


def _layers(spec: ModelSpec, depth: int) -> Iterator[nn.Module]:
    channels = spec.in_channels
    for stage in STAGES[depth]:
        for planes in (int(p * spec.width) for p in stage):
            yield nn.Conv2d(channels, planes, 3, padding=1)
            yield nn.BatchNorm2d(planes)
            yield nn.ReLU()
            channels = planes
        yield nn.MaxPool2d(2)


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
        nn.init.zeros_(module.bias)
