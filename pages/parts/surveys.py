"""What the model makes of test images: read once, shared, and found again by the content of model and data."""

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.parts.opened import dataset, opened
from pages.parts.selection import Selection
from unlearn_core.channels.survey_size import affordable
from unlearn_core.plots.tiles import strip_uri

if TYPE_CHECKING:
    from unlearn_core.channels.feature_maps import ImageMaps, Survey


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
        layers = affordable(shapes, layer, len(data.classes), len(data.test))
        return _survey(loaded.digest, data.digest, tap, layers, loaded, data)


def maps_of(selection: Selection, key: str, image: Any, tap: str = "bn_relu") -> "ImageMaps":
    """The maps of one image, uint8 (3, H, W), in every layer; `key` names the image's content or place."""
    with opened(selection) as (loaded, data):
        return _maps(loaded.digest, data.digest, tap, key, loaded, image)


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
    return [strip_uri([_data.test.images[int(i)] for i in top]) for top in tops]


@st.cache_resource(show_spinner=False, max_entries=64)
def _maps(model: str, data: str, tap: str, key: str, _loaded: Any, _image: Any) -> "ImageMaps":
    from unlearn_core.channels.feature_maps import image_maps

    return image_maps(_loaded.model, _image, tap)


def _first_maps(model: str, data: str, tap: str, loaded: Any, dataset: Any) -> "ImageMaps":
    return _maps(model, data, tap, "test 0", loaded, dataset.test.images[0])


@st.cache_resource(show_spinner="Reading the channels on test images …", max_entries=6)
def _survey(model: str, data: str, tap: str, layers: tuple[str, ...], _loaded: Any, _data: Any) -> "Survey":
    from unlearn_core.channels.feature_maps import survey, survey_sample

    sample = survey_sample(_data.test, len(_data.classes))
    return survey(_loaded.model, sample, len(_data.classes), layers, tap=tap)
