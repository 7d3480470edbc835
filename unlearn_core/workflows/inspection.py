"""Answers that take seconds and leave no run: a model's accuracy, and a picture of a layer's maps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from unlearn_core.channels.feature_maps import SCALES, image_maps, scale_range
from unlearn_core.channels.responses import peaks
from unlearn_core.data.images import decode_image
from unlearn_core.data.sets import Dataset
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.params import setting
from unlearn_core.plots.montage import montage_png
from unlearn_core.progress import Report
from unlearn_core.results import evaluation
from unlearn_core.results.plain import to_plain
from unlearn_core.words import percent
from unlearn_core.workflows.ends import inputs_of, names_in, open_both
from unlearn_core.workflows.requests import Opening


@dataclass(frozen=True)
class MapsRequest(Opening):
    """Which maps to draw."""

    image: str = setting("0", "Index of a test image, or an image file")
    layer: str = setting("conv1", "Name of a convolution")
    scale: str = setting(
        "layer", "One colour scale for each channel, the layer or the network", choices=tuple(SCALES)
    )


@dataclass(frozen=True)
class EvaluateRequest(Opening):
    """Which model to measure."""

    forget: str = setting("", "Classes to report apart, by name or index, with commas between")


def evaluate_model(asked: EvaluateRequest, report: Report) -> dict[str, Any]:
    """Test accuracy of a model, all together, by class, and for classes to forget and to keep."""
    dataset, loaded = open_both(asked, report)
    names = names_in(asked.forget) or [dataset.classes[0]]
    split = split_dataset(dataset, ForgetSpec(tuple(names)))
    tested = evaluation.tabulate(split, evaluation.test_predictions(loaded.model, split, report))
    apart = ("forget_test_accuracy", "retain_test_accuracy") if asked.forget else ()
    return {
        "test_accuracy": tested.test_accuracy,
        "per_class": dict(zip(dataset.classes, tested.per_class, strict=True)),
        "images": sum(tested.per_class_total),
        **{name: getattr(tested, name) for name in apart},
        "inputs": to_plain(inputs_of(dataset, loaded)),
        "notes": [*loaded.notes, *dataset.notes],
    }


def draw_maps(asked: MapsRequest, report: Report) -> bytes:
    """A PNG of all channels of a layer for one image.

    Raises:
        UnlearnError: There is no such image or layer.
    """
    dataset, loaded = open_both(asked, report)
    image, told = _image(asked.image, dataset)
    found = image_maps(loaded.model, image.to(loaded.model.mean.device))
    if asked.layer not in found.maps:
        raise UnlearnError(
            f"There is no convolution {asked.layer!r}; this model has: {', '.join(found.maps)}."
        )
    maps = found.maps[asked.layer]
    high = peaks(maps) if asked.scale == "unit" else scale_range(found.maps, asked.layer, 0, asked.scale).high
    best = found.answer
    caption = (
        f"{told}; the model answers {dataset.classes[best]} with {percent(float(found.probabilities[best]))}"
    )
    return montage_png(
        maps, high, title=f"{loaded.card.name}, {asked.layer}: {len(maps)} channels", caption=caption
    )


def _image(text: str, dataset: Dataset) -> tuple[Tensor, str]:
    """The image behind an index or a file name, and what to call it."""
    if not text.isdecimal():
        path = Path(text).expanduser()
        if not path.is_file():
            raise UnlearnError(
                f"There is no image file {text!r}; give a file, or an index from 0 to {len(dataset.test) - 1}."
            )
        return decode_image(path, int(dataset.test.images.shape[-1]), path.name), path.name
    if int(text) >= len(dataset.test):
        raise UnlearnError(
            f"There is no test image {text}; the last of {len(dataset.test)} is {len(dataset.test) - 1}."
        )
    label = dataset.classes[int(dataset.test.labels[int(text)])]
    return dataset.test.images[int(text)], f"test image {text}, a {label!r}"
