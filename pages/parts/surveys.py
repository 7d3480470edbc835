"""What the model makes of test images: read once, shared, and found again by the content of model and data."""

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from pages.parts.opened import dataset, opened
from pages.parts.selection import Selection
from unlearn_core.plots.tiles import image_uri

if TYPE_CHECKING:
    from unlearn_core.channels.feature_maps import ImageMaps, Survey

_MOST_BYTES = 256 * 1024**2
_MOST_IMAGES = 1_500
_LEAST_PER_CLASS = 10


def survey_of(selection: Selection, layer: str, tap: str = "bn_relu") -> "Survey":
    """What the channels of a layer make of the first test images of each class; every layer, where memory allows.

    Raises:
        UnlearnError: The model or the data set can't be opened.
    """
    with opened(selection) as (loaded, data):
        shapes = {
            name: maps.shape
            for name, maps in _first_maps(loaded.digest, data.digest, tap, loaded, data).maps.items()
        }
        layers = _affordable(shapes, layer, len(data.classes), len(data.test))
        return _survey(loaded.digest, data.digest, tap, layers, loaded, data)


def maps_of(selection: Selection, key: str, image: Any, tap: str = "bn_relu") -> "ImageMaps":
    """The maps of one image, uint8 (3, H, W), in every layer; `key` names the image's content or place."""
    with opened(selection) as (loaded, data):
        return _maps(loaded.digest, data.digest, tap, key, loaded, image)


def sample_size(num_classes: int, num_images: int) -> int:
    """How many test images a survey reads of each class, at most."""
    return min(num_images, max(_LEAST_PER_CLASS, min(100, _MOST_IMAGES // max(1, num_classes))))


def pixels_of(image: Any) -> np.ndarray:
    """A tensor (3, H, W) as an array (H, W, 3)."""
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def strips_of(
    selection: Selection, survey: "Survey", tap: str, layer: str, channels: tuple[int, ...], count: int = 4
) -> list[str]:
    """For each channel, the test images that drive it most, side by side as one data URI."""
    data = dataset(selection)
    with opened(selection) as (loaded, _):
        return _strips(loaded.digest, data.digest, tap, layer, channels, count, survey, data)


@st.cache_resource(show_spinner=False, max_entries=32)
def _strips(
    model: str,
    data: str,
    tap: str,
    layer: str,
    channels: tuple[int, ...],
    count: int,
    _survey: "Survey",
    _data: Any,
) -> list[str]:
    from unlearn_core.channels.feature_maps import top_images

    means = _survey.layers[layer].means
    tops = [_survey.indices[top_images(means, channel, count)] for channel in channels]
    return [
        image_uri(np.concatenate([pixels_of(_data.test.images[int(i)]) for i in top], axis=1)) for top in tops
    ]


@st.cache_resource(show_spinner=False, max_entries=64)
def _maps(model: str, data: str, tap: str, key: str, _loaded: Any, _image: Any) -> "ImageMaps":
    from unlearn_core.channels.feature_maps import image_maps

    return image_maps(_loaded.model, _image, tap)


def _first_maps(model: str, data: str, tap: str, loaded: Any, dataset: Any) -> "ImageMaps":
    return _maps(model, data, tap, "test 0", loaded, dataset.test.images[0])


def _affordable(
    shapes: dict[str, tuple[int, ...]], layer: str, num_classes: int, num_images: int
) -> tuple[str, ...]:
    """All layers, or only the one in view where all would take too much memory."""
    from unlearn_core.channels.feature_maps import survey_bytes

    images = min(num_images, num_classes * sample_size(num_classes, num_images))
    return tuple(shapes) if survey_bytes(shapes, images, num_classes) <= _MOST_BYTES else (layer,)


@st.cache_resource(show_spinner="Reading the channels on test images …", max_entries=6)
def _survey(model: str, data: str, tap: str, layers: tuple[str, ...], _loaded: Any, _data: Any) -> "Survey":
    import torch

    from unlearn_core.channels.activations import first_per_class
    from unlearn_core.channels.feature_maps import survey

    count = sample_size(len(_data.classes), len(_data.test))
    sample = _data.test.select(torch.from_numpy(first_per_class(_data.test.labels.numpy(), count)))
    return survey(_loaded.model, sample, len(_data.classes), layers, tap=tap)
