"""How many images and layers a survey of channels reads, so that it stays within seconds and megabytes."""

from collections.abc import Mapping

CLASS_MAP_SIDE = 32
"""Mean maps by class are pooled to at most this many pixels a side: K of them are kept for every channel."""

_MOST_BYTES = 256 * 1024**2
_MOST_IMAGES = 1_500
_LEAST_PER_CLASS = 10


def sample_size(num_classes: int, num_images: int) -> int:
    """How many test images a survey reads of each class, at most."""
    return min(num_images, max(_LEAST_PER_CLASS, min(100, _MOST_IMAGES // max(1, num_classes))))


def survey_bytes(shapes: Mapping[str, tuple[int, ...]], num_images: int, num_classes: int) -> int:
    """What a survey of layers whose maps have these shapes (C, H, W) keeps in memory, in bytes."""
    cells = (
        c * (num_images + num_classes * min(h, CLASS_MAP_SIDE) * min(w, CLASS_MAP_SIDE))
        for c, h, w in shapes.values()
    )
    return 4 * sum(cells)


def affordable(
    shapes: Mapping[str, tuple[int, ...]], layer: str, num_classes: int, num_images: int
) -> tuple[str, ...]:
    """The layers that a survey reads: all of them, or only the one in view where all would take too much memory."""
    images = min(num_images, num_classes * sample_size(num_classes, num_images))
    return tuple(shapes) if survey_bytes(shapes, images, num_classes) <= _MOST_BYTES else (layer,)
