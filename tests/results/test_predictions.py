"""Answers that a run kept: read back as they were, and sorted into the cells of a confusion matrix."""

from pathlib import Path

import numpy as np
import pytest

from unlearn_core.results.evaluation import Predictions
from unlearn_core.results.predictions import cell_members, load_predictions, places_of, save_predictions

LABELS = {10: 0, 11: 0, 12: 1, 13: 0, 14: 0}


def answers(**by_position: int) -> Predictions:
    """Answers for the images of these positions, named p10, p11 ..."""
    positions = [int(name[1:]) for name in by_position]
    labels = np.array([LABELS[position] for position in positions])
    predicted = np.array(list(by_position.values()))
    return Predictions(np.array(positions), labels, predicted, np.linspace(0.1, 0.9, len(positions)))


FIRST = answers(p12=1, p11=1, p10=1, p13=0, p14=1)
SECOND = answers(p10=1, p11=0, p12=1, p13=1)  # of image 14 it has no answer


def test_they_are_read_back_as_they_were(tmp_path: Path) -> None:
    save_predictions(tmp_path / "p.npz", FIRST)
    back = load_predictions(tmp_path / "p.npz")
    for name in ("indices", "labels", "predicted", "confidence"):
        assert getattr(back, name).tolist() == getattr(FIRST, name).tolist()
    assert back.chances is None


def test_where_an_answer_stands() -> None:
    assert places_of(FIRST) == {12: 0, 11: 1, 10: 2, 13: 3, 14: 4}


@pytest.mark.parametrize(
    ("cell", "members"), [("before_share", [10, 11]), ("after_share", [10, 13]), ("difference", [11, 13])]
)
def test_the_images_of_a_cell(cell: str, members: list[int]) -> None:
    assert cell_members(FIRST, SECOND, true=0, answer=1, cell=cell) == members
