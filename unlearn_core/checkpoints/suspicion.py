"""What makes one doubt a model although it can be opened: zeros, weights out of range, answers in another order."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor, nn

# How often a layer's typical weight fits into one that a flipped bit of the exponent made; training leaves tens.
_FAR = 1000.0
_FEWEST = 100  # weights of a layer that have a typical one
_MAJORITY = 0.5
_GAIN = 0.05
_IMAGES = 5


@dataclass(frozen=True)
class Reordered:
    """An order of classes in which a model's answers are right.

    Attributes:
        label_of_output: For each output, the label that its answers belong to.
        accuracy: In that order, in [0, 1].
    """

    label_of_output: tuple[int, ...]
    accuracy: float


def share_of_zeros(net: nn.Module) -> float:
    """Share of the convolutions' weights that are exactly zero, in [0, 1]."""
    weights = [m.weight.detach() for m in net.modules() if isinstance(m, nn.Conv2d)]
    return sum(int((w == 0).sum()) for w in weights) / max(1, sum(w.numel() for w in weights))


def outlying_weights(net: nn.Module) -> tuple[str, ...]:
    """The parameters with one weight that stands alone, far outside the range of all others."""
    return tuple(name for name, p in net.named_parameters() if p.ndim > 1 and _stands_alone(p.detach()))


def _stands_alone(weights: Tensor) -> bool:
    sizes = weights.abs().flatten()
    sizes = sizes[sizes > 0]
    if len(sizes) < _FEWEST:
        return False
    second, first = sizes.topk(2).values.flip(0).tolist()
    return bool(first > 10 * second and first > _FAR * float(sizes.median()))


def permutation(labels: Int64[Tensor, " N"], answers: Int64[Tensor, " N"], classes: int) -> Reordered | None:
    """The order of classes in which the answers fit much better than in the given one; None where there is none.

    Each label's images must mostly get one answer, each label another one, and every class that moves have some images.
    """
    table = torch.bincount(labels * classes + answers, minlength=classes**2).view(classes, classes)
    counts, best = table.sum(dim=1), table.max(dim=1)
    moved = best.indices != torch.arange(classes)
    one_to_one = len(set(best.indices.tolist())) == classes
    sure = (best.values[moved] >= _MAJORITY * counts[moved]).all() and (counts[moved] >= _IMAGES).all()
    total = max(1, len(labels))
    gain = (int(best.values.sum()) - int(table.diagonal().sum())) / total
    if not moved.any() or not one_to_one or not sure or gain < _GAIN:
        return None
    label_of_output = torch.empty(classes, dtype=torch.int64)
    label_of_output[best.indices] = torch.arange(classes)
    return Reordered(tuple(label_of_output.tolist()), int(best.values.sum()) / total)
