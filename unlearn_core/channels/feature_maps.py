"""Feature maps: what one image leaves in every channel, and what every channel makes of many images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from unlearn_core.channels.activations import TapPoint, first_per_class, tap_points, tapped
from unlearn_core.channels.survey_size import CLASS_MAP_SIDE, sample_size
from unlearn_core.data.sets import ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.models.inference import device_of, evaluating
from unlearn_core.progress import Progress, Report, silent

SCALES: Mapping[str, str] = {
    "unit": "each channel by its own maximum: shapes, not strengths",
    "layer": "one maximum for the layer: channels compare",
    "network": "one maximum for the whole network: layers compare",
}


@dataclass(frozen=True, eq=False)
class ImageMaps:
    """What one image leaves in a network.

    Attributes:
        maps: For every convolution, in the order of the forward pass, rectified maps, float32 (C, H, W).
        probabilities: Softmax of the outputs, (K,).
    """

    maps: Mapping[str, NDArray[np.float32]]
    probabilities: NDArray[np.float32]

    @property
    def answer(self) -> int:
        """The class that the model takes it for."""
        return int(self.probabilities.argmax())


@dataclass(frozen=True, eq=False)
class LayerSurvey:
    """What the channels of one convolution make of N images.

    Attributes:
        means: Spatial mean of each channel's rectified map for each image, float32 (N, C).
        class_maps: Mean map of each channel over the images of each class, float32 (K, C, h, w), with h and w at most
            `CLASS_MAP_SIDE`; NaN for a class without images.
    """

    means: NDArray[np.float32]
    class_maps: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Survey:
    """What a network makes of N images.

    Attributes:
        layers: By convolution, in the order of the forward pass.
        probabilities: Softmax of the outputs, float32 (N, K).
        labels: True classes, (N,).
        indices: Positions of the images in their source's order, (N,).
    """

    layers: Mapping[str, LayerSurvey]
    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]


@dataclass(frozen=True)
class Range:
    """Smallest and largest value of the maps that share a colour scale; colours run from 0 to `high`."""

    low: float
    high: float


def image_maps(model: nn.Module, image: UInt8[Tensor, "3 H W"], tap: str = "bn_relu") -> ImageMaps:
    """The maps of one image in every convolution, and what the model takes it for.

    The model's modes are restored and its hooks removed, also after an exception.

    Raises:
        UnlearnError: An unknown tap.
    """
    batch = image[None].to(device_of(model))
    maps: dict[str, NDArray[np.float32]] = {}

    def keep(layer: str, batch_maps: Tensor) -> None:
        # A copy: on the CPU, numpy would share memory with a tensor that an in-place sum may still change.
        maps[layer] = batch_maps[0].float().cpu().numpy().copy()

    with evaluating(model), torch.inference_mode(), tapped(tap_points(model, batch, tap), keep):
        logits = model(batch)
    return ImageMaps(maps, _softmax(logits)[0])


def survey(
    model: nn.Module,
    images: ImageSet,
    num_classes: int,
    layers: Sequence[str] = (),
    *,
    tap: str = "bn_relu",
    batch_size: int = 250,
    report: Report = silent,
) -> Survey:
    """What the channels make of the images, in one forward pass; never more than a batch of maps is held.

    The model's modes are restored and its hooks removed, also after an exception.

    Args:
        model: Takes uint8 images (N, 3, H, W).
        images: At least one image.
        num_classes: K; labels lie below it.
        layers: Which convolutions; all of them when empty. `survey_bytes` says what they cost.
        tap: A key of `activations.TAPS`.
        batch_size: Images in a step.
        report: Told of every batch.

    Raises:
        UnlearnError: There is no image, an unknown tap, or the model has no such convolution.
    """
    if not len(images):
        raise UnlearnError("There are no images to look at; choose a data set with test images.")
    device = device_of(model)
    one_hot = torch.eye(num_classes, device=device)
    means: dict[str, list[Tensor]] = {}
    sums: dict[str, Tensor] = {}
    outputs: list[Tensor] = []
    weights: list[Tensor] = []

    def add(layer: str, maps: Tensor) -> None:
        maps = maps.float()
        means.setdefault(layer, []).append(maps.mean(dim=(2, 3)).cpu())
        part = torch.einsum("nk,nchw->kchw", weights[0], _pooled(maps))
        sums[layer] = sums[layer] + part if layer in sums else part

    steps = range(0, len(images), batch_size)
    with evaluating(model), torch.inference_mode():
        points = _points_of(tap_points(model, images.images[:2].to(device), tap), layers)
        with tapped(points, add):
            for step, start in enumerate(steps):
                weights[:] = [one_hot[images.labels[start : start + batch_size].to(device)]]
                outputs.append(model(images.images[start : start + batch_size].to(device)).float().cpu())
                report(Progress("reading channels", step + 1, len(steps)))
    counts = np.bincount(images.labels.numpy(), minlength=num_classes)
    by_layer = {
        layer: LayerSurvey(torch.cat(means[layer]).numpy(), _means_of(sums[layer], counts)) for layer in sums
    }
    return Survey(by_layer, _softmax(torch.cat(outputs)), images.labels.numpy(), images.indices.numpy())


def survey_sample(images: ImageSet, num_classes: int) -> ImageSet:
    """The images that a survey reads: the first of each class, as many as there is time for."""
    count = sample_size(num_classes, len(images))
    return images.select(torch.from_numpy(first_per_class(images.labels.numpy(), count)))


def scale_range(maps: Mapping[str, NDArray[np.float32]], layer: str, channel: int, scale: str) -> Range:
    """The values that share a colour scale with one channel's map.

    Raises:
        UnlearnError: An unknown scale.
    """
    if scale not in SCALES:
        raise UnlearnError(f"Unknown scale {scale!r}; choose one of: {', '.join(SCALES)}.")
    sharing = {"unit": [maps[layer][channel]], "layer": [maps[layer]], "network": list(maps.values())}[scale]
    return Range(float(min(m.min() for m in sharing)), float(max(m.max() for m in sharing)))


def top_images(means: NDArray[np.float32], channel: int, count: int = 9) -> NDArray[np.int64]:
    """Positions of the images with the highest mean activation of a channel, highest first, ties to the first image."""
    return np.argsort(-means[:, channel], kind="stable")[:count]


def most_confident(answers: Survey, k: int) -> int | None:
    """Position of the rightly classified image of class k with the highest probability; None if there is none."""
    right = np.flatnonzero((answers.labels == k) & (answers.probabilities.argmax(axis=1) == k))
    return int(right[answers.probabilities[right, k].argmax()]) if len(right) else None


def class_histogram(
    values: NDArray[np.float32], labels: NDArray[np.int64], num_classes: int, bins: int = 24
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges of equal bins from 0 to the largest value, (bins + 1,), and each class's share of images in each, (K, bins).

    Args:
        values: One channel's mean activation for N images, (N,); at least 0.
        labels: Their classes, (N,).
        num_classes: K; a class without images has zeros.
        bins: Number of bins.
    """
    edges = np.linspace(0.0, float(values.max()) or 1.0, bins + 1)
    counts = np.stack([np.histogram(values[labels == k], edges)[0] for k in range(num_classes)]).astype(
        np.float64
    )
    totals = counts.sum(axis=1, keepdims=True)
    return edges, np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)


def _points_of(points: Sequence[TapPoint], layers: Sequence[str]) -> list[TapPoint]:
    by_name = {point.layer: point for point in points}
    missing = [layer for layer in layers if layer not in by_name]
    if missing:
        raise UnlearnError(f"This model has no convolution {missing[0]!r}; it has: {', '.join(by_name)}.")
    return [by_name[layer] for layer in layers] if layers else list(points)


def _pooled(maps: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
    height, width = maps.shape[2:]
    if max(height, width) <= CLASS_MAP_SIDE:
        return maps
    return functional.adaptive_avg_pool2d(maps, (min(height, CLASS_MAP_SIDE), min(width, CLASS_MAP_SIDE)))


def _means_of(sums: Tensor, counts: NDArray[np.int64]) -> NDArray[np.float32]:
    shares = np.where(counts > 0, 1 / np.maximum(counts, 1), np.nan).astype(np.float32)
    return sums.cpu().numpy() * shares[:, None, None, None]


def _softmax(logits: Float[Tensor, "N K"]) -> NDArray[np.float32]:
    return logits.double().softmax(dim=1).float().cpu().numpy()
