"""Class-wise channel activations: what clients send for a plan, and all that a score is made from.

Paper: Wang et al., "Federated Unlearning via Class-Discriminative Pruning", WWW 2022, arXiv 2110.11794, section 3.1.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, Report, silent
from unlearn_core.store.files import write_npz

if TYPE_CHECKING:
    import torch
    from torch import nn

    from unlearn_core.data.sets import ImageSet

TAPS: Mapping[str, str] = {
    "bn_relu": "after batch norm and ReLU: what the next layer sees",
    "conv_relu": "ReLU of the raw convolution output: the authors' released code",
}


@dataclass(frozen=True)
class ActivationStats:
    """Sums over images of each channel's mean activation, by class.

    The statistics of a whole are the sum of those of its parts, whoever holds the parts.

    Attributes:
        classes: The K class names.
        tap: Where the activations were read; a key of `TAPS`.
        sums: For every convolution, in the order of the forward pass, float64 (K, C).
        counts: Images of each class, int64 (K,).
    """

    classes: tuple[str, ...]
    tap: str
    sums: Mapping[str, NDArray[np.float64]]
    counts: NDArray[np.int64]

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the convolutions, in the order of the forward pass."""
        return tuple(self.sums)

    def mean(self, layer: str) -> NDArray[np.float64]:
        """Mean activation of each channel over the images of each class, (K, C); NaN for a class without images."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(
                np.where(self.counts[:, None] > 0, self.sums[layer] / self.counts[:, None], np.nan)
            )

    def __add__(self, other: ActivationStats) -> ActivationStats:
        """The statistics of both sets of images together.

        Raises:
            UnlearnError: The two come from different models, classes or taps.
        """
        if (self.classes, self.tap, self._shapes()) != (other.classes, other.tap, other._shapes()):
            raise UnlearnError(
                "These activation statistics come from different models, classes or taps; they can't be added."
            )
        sums = {layer: self.sums[layer] + other.sums[layer] for layer in self.sums}
        return ActivationStats(self.classes, self.tap, sums, self.counts + other.counts)

    def _shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        return [(layer, values.shape) for layer, values in self.sums.items()]


def save_stats(stats: ActivationStats, path: Path) -> None:
    """Writes the statistics as one compressed npz."""
    header = json.dumps({"classes": stats.classes, "tap": stats.tap, "layers": stats.layers})
    sums = {f"sums/{layer}": values for layer, values in stats.sums.items()}
    write_npz(path, {"header": np.array(header), "counts": stats.counts, **sums})


def load_stats(path: Path) -> ActivationStats:
    """The statistics that `save_stats` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        header = json.loads(str(arrays["header"]))
        sums = {layer: arrays[f"sums/{layer}"] for layer in header["layers"]}
        return ActivationStats(tuple(header["classes"]), header["tap"], sums, arrays["counts"])


def first_per_class(labels: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Positions of the first `limit` images of each class, ascending; all of them when `limit` is 0."""
    if limit <= 0:
        return np.arange(len(labels))
    positions = [np.flatnonzero(labels == k)[:limit] for k in np.unique(labels)]
    return np.sort(np.concatenate(positions)) if positions else np.arange(0)


def collect(
    model: nn.Module,
    images: ImageSet,
    classes: Sequence[str],
    *,
    tap: str = "bn_relu",
    batch_size: int = 0,
    clip: float = 0.0,
    report: Report = silent,
) -> ActivationStats:
    """Activation statistics of every convolution in one forward pass over the images.

    Each hook reduces a layer's output to class sums at once, so memory is O(layers x K x C) whatever N is, and an
    in-place ReLU that follows can't change what was read. The model's modes are restored and its hooks removed, also
    after an exception.

    Args:
        model: Takes uint8 images (N, 3, H, W).
        images: N images; no augmentation is applied.
        classes: The K class names; labels index them.
        tap: A key of `TAPS`.
        batch_size: Images in a step; 0 leaves it to the device. Sums differ by float32 rounding between batch sizes.
        clip: Scales an image's activations in a layer of C channels down to an L2 norm of clip x sqrt(C), so that no
            image counts for more; 0 leaves them as they are.
        report: Told of every batch.

    Raises:
        UnlearnError: An unknown tap.

    Paper: Wang et al., arXiv 2110.11794, section 3.1 (spatial mean of ReLU, then mean over a class's images).
    """
    import torch

    from unlearn_core.models.inference import batch_for, evaluating, exact_device

    device = next(model.parameters()).device
    batch_size, exact = batch_size or batch_for(device), exact_device(device)
    one_hot = torch.eye(len(classes), dtype=torch.float64, device=exact)
    pooled: dict[str, torch.Tensor] = {}  # of the present batch, in the order of the forward pass
    sums = torch.zeros(len(classes), 0, dtype=torch.float64, device=exact)

    def pool(layer: str, maps: torch.Tensor) -> None:
        means = maps.float().mean(dim=(2, 3))
        if clip:
            means = means * (clip * means.shape[1] ** 0.5 / means.norm(dim=1, keepdim=True)).clamp(max=1)
        pooled[layer] = means

    steps = range(0, len(images), batch_size)
    with evaluating(model), torch.inference_mode():
        points = tap_points(model, images.images[:2].to(device), tap)
        with tapped(points, pool):
            for step, start in enumerate(steps):
                labels = images.labels[start : start + batch_size].to(exact)
                model(images.images[start : start + batch_size].to(device))
                # All layers at once: one product instead of one a layer.
                part = one_hot[labels].T @ torch.cat(list(pooled.values()), dim=1).to(exact).double()
                sums = part + sums if step else part
                report(Progress("reading activations", step + 1, len(steps)))
    counts = np.bincount(images.labels.numpy(), minlength=len(classes)).astype(np.int64)
    widths = [means.shape[1] for means in pooled.values()]
    by_layer = dict(zip(pooled, (part.numpy() for part in sums.cpu().split(widths, dim=1)), strict=True))
    return ActivationStats(tuple(classes), tap, by_layer, counts)


def batch_norms(model: nn.Module, example: torch.Tensor) -> dict[str, str]:
    """The batch norm that reads each convolution's output directly: {convolution: batch norm}, by module name.

    Args:
        model: Any network of convolutions.
        example: A batch (N, 3, H, W) that the model accepts.
    """
    import torch

    from unlearn_core.models.inference import evaluating

    with evaluating(model), torch.inference_mode():
        _, normed_by, _ = _trace(model, example)
    return {_short(conv): _short(bn) for conv, bn in normed_by.items()}


@dataclass(frozen=True)
class TapPoint:
    """Where one convolution's activations are read, and whether a ReLU is still to be applied there."""

    layer: str
    module: nn.Module
    needs_relu: bool


def tap_points(model: nn.Module, example: torch.Tensor, tap: str = "bn_relu") -> list[TapPoint]:
    """One point a convolution, in the order of the forward pass; to be called in evaluation mode, without gradients.

    A ReLU module that directly follows is read itself: its output costs no second ReLU.

    Raises:
        UnlearnError: An unknown tap.
    """
    if tap not in TAPS:
        raise UnlearnError(f"Unknown tap {tap!r}; choose one of: {', '.join(TAPS)}.")
    modules = dict(model.named_modules())
    order, normed_by, rectified_by = _trace(model, example)
    points = []
    for conv in order:
        at = normed_by.get(conv, conv) if tap == "bn_relu" else conv
        relu = rectified_by.get(at) if tap == "bn_relu" else None
        points.append(TapPoint(_short(conv), modules[relu or at], relu is None))
    return points


def _trace(model: nn.Module, example: torch.Tensor) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """The convolutions in the order they run, their batch norms, and the ReLU modules behind either.

    A module follows another when it is given the very tensor that the other returned, or when a ReLU called more than
    once (torchvision's residual blocks share one) is told apart by being left out.
    """
    from torch import nn

    order: list[str] = []
    produced: dict[int, tuple[str, torch.Tensor]] = {}
    normed_by: dict[str, str] = {}
    rectified_by: dict[str, str] = {}
    calls: dict[str, int] = {}

    def before(name: str, module: nn.Module, tensor: torch.Tensor) -> None:
        calls[name] = calls.get(name, 0) + 1
        source = produced.get(id(tensor), ("", tensor))[0]
        if source and isinstance(module, nn.BatchNorm2d):
            normed_by[source] = name
        elif source and isinstance(module, (nn.ReLU, nn.ReLU6)):
            rectified_by[source] = name

    def after(name: str, module: nn.Module, result: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            order.append(name)
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)):
            produced[id(result)] = (name, result)  # held, so that no other tensor gets this id

    with contextlib.ExitStack() as stack:
        for name, module in model.named_modules():
            if isinstance(module, (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.ReLU6)):
                ahead = module.register_forward_pre_hook(
                    lambda m, inputs, name=name: before(name, m, inputs[0])
                )
                behind = module.register_forward_hook(lambda m, _, result, name=name: after(name, m, result))
                stack.callback(ahead.remove)
                stack.callback(behind.remove)
        model(example)
    return order, normed_by, {at: relu for at, relu in rectified_by.items() if calls[relu] == 1}


@contextlib.contextmanager
def tapped(points: Sequence[TapPoint], listen: Callable[[str, torch.Tensor], None]) -> Iterator[None]:
    """Hooks inside that hand each layer's name and rectified maps (N, C, H, W) to `listen`; gone after, come what may.

    The maps are those of the running pass: whoever keeps them copies them, because an in-place operation may follow.
    """

    def hook(point: TapPoint, output: torch.Tensor) -> None:
        listen(point.layer, output.relu() if point.needs_relu else output)

    with contextlib.ExitStack() as stack:
        for point in points:
            handle = point.module.register_forward_hook(lambda _m, _i, output, p=point: hook(p, output))
            stack.callback(handle.remove)
        yield


def _short(name: str) -> str:
    """A layer's name in the bare network, without the wrapper that normalises."""
    return name.removeprefix("net.")
