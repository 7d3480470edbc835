"""Finds the input normalisation that a net was trained with, when nobody says."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional

from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import device_of, predict
from unlearn_core.models.specs import ModelSpec, Normalization


def fit_normalization(
    net: nn.Module,
    spec: ModelSpec,
    images: UInt8[Tensor, "N 3 H W"],
    labels: Int64[Tensor, " N"],
    candidates: Sequence[Normalization],
) -> list[tuple[Normalization, float]]:
    """Each candidate with the net's accuracy under it, in [0, 1], best first.

    A few hundred images can't tell similar statistics apart by counting hits: candidates within one standard
    error of the best accuracy are ordered by their cross-entropy, which can.

    Args:
        net: The net; its modes are restored.
        spec: Its spec; for nets of one channel, statistics of three are averaged.
        images: A few hundred.
        labels: In the order of the net's outputs.
        candidates: The normalisations to try.
    """
    device = device_of(net)
    tries = []
    for candidate in (n.for_channels(spec.in_channels) for n in candidates):
        logits = predict(Classifier(net, candidate).to(device), images)
        accuracy = float((logits.argmax(dim=1) == labels).double().mean())
        tries.append((candidate, accuracy, float(functional.cross_entropy(logits, labels))))
    best = max((accuracy for _, accuracy, _ in tries), default=0.0)
    alike = best - math.sqrt(best * (1 - best) / max(1, len(labels)))
    tries.sort(key=lambda t: (t[1] < alike, t[2] if t[1] >= alike else -t[1]))
    return [(candidate, accuracy) for candidate, accuracy, _ in tries]


def own_normalization(images: UInt8[Tensor, "N 3 H W"]) -> Normalization:
    """Mean and standard deviation of each channel of these images, as the normalisation "own".

    A channel that never varies gets the standard deviation 1.
    """
    grey = torch.arange(256, dtype=torch.float64) / 255
    shares = torch.stack([images[:, c].flatten().bincount(minlength=256) for c in range(3)]).double()
    shares /= shares.sum(dim=1, keepdim=True)
    mean = (shares * grey).sum(dim=1)
    std = (shares * (grey - mean[:, None]) ** 2).sum(dim=1).sqrt()
    std[std < 1 / 512] = 1.0  # less than half a grey level: a constant channel
    return Normalization("own", tuple(mean.tolist()), tuple(std.tolist()))
