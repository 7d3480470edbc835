"""The normalisation of the input that a net carries in buffers of its own."""

from collections.abc import Mapping

from torch import Tensor

from unlearn_core.errors import UnlearnError
from unlearn_core.models.specs import NORMALIZATIONS, Normalization

_ENDINGS = (
    ("mean", "std"),
    ("_mean", "_std"),
    ("mu", "sigma"),
    ("pixel_mean", "pixel_std"),
    ("means", "sds"),
)
_CLOSE = 5e-4


def normalization_in(tensors: Mapping[str, Tensor]) -> Normalization | None:
    """The mean and standard deviation among a file's tensors (`normalize.mean`, `normalize.std`), where there is one pair.

    Statistics of pixels from 0 to 255 are brought into [0, 1].
    """
    pairs = [
        (tensors[name], tensors[stem + second])
        for name in tensors
        for first, second in _ENDINGS
        if name.endswith(first) and (stem := name.removesuffix(first)) + second in tensors and _is_stem(stem)
    ]
    usable = [pair for pair in pairs if all(t.is_floating_point() and t.numel() in (1, 3) for t in pair)]
    if len(usable) != 1 or usable[0][0].numel() != usable[0][1].numel():
        return None
    mean, std = (tuple(float(v) for v in t.flatten()) for t in usable[0])
    scale = 255 if max(map(abs, mean)) > 3 else 1
    return _named(tuple(v / scale for v in mean), tuple(v / scale for v in std))


def _is_stem(stem: str) -> bool:
    return not stem or stem.endswith(".")


def _named(mean: tuple[float, ...], std: tuple[float, ...]) -> Normalization | None:
    """The usual normalisation with these numbers, or a custom one; None for numbers that can't be applied."""
    for known in NORMALIZATIONS.values():
        pairs = zip((*known.mean, *known.std), (*mean, *std), strict=False)
        if len(mean) == len(known.mean) and all(abs(a - b) < _CLOSE for a, b in pairs):
            return known
    try:
        return Normalization("custom", mean, std)
    except UnlearnError:
        return None
