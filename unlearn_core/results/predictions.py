"""A model's answers on the test images, kept by a run and read back: which image lies in which cell of the confusion."""

from pathlib import Path

import numpy as np

from unlearn_core.results.evaluation import Predictions
from unlearn_core.store.files import write_npz

_FIELDS = ("indices", "labels", "predicted", "confidence")

CELLS = ("before_share", "after_share", "difference")
"""What the colour of a cell shows: the share with the first model, with the second, and what one has more of."""


def save_predictions(path: Path, predictions: Predictions) -> None:
    """Writes the answers, image by image."""
    write_npz(path, {name: getattr(predictions, name) for name in _FIELDS})


def load_predictions(path: Path) -> Predictions:
    """What `save_predictions` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Predictions(**{name: arrays[name] for name in _FIELDS})


def places_of(predictions: Predictions) -> dict[int, int]:
    """Where the answer for each image stands, by the image's position in the test set."""
    return {int(position): place for place, position in enumerate(predictions.indices)}


def cell_members(first: Predictions, second: Predictions, true: int, answer: int, cell: str) -> list[int]:
    """Positions in the test set of a cell's images that both models answered, ascending.

    Args:
        first: One model's answers.
        second: The other's.
        true: The images' class.
        answer: What they were taken for.
        cell: Of `CELLS`; a difference holds the images on which only one of the two gave this answer.
    """
    one, two = _in_cell(first, true, answer), _in_cell(second, true, answer)
    members = dict(zip(CELLS, (one, two, one ^ two), strict=True))[cell]
    return sorted(members & places_of(first).keys() & places_of(second).keys())


def _in_cell(predictions: Predictions, true: int, answer: int) -> set[int]:
    inside = (predictions.labels == true) & (predictions.predicted == answer)
    return {int(position) for position in predictions.indices[inside]}
