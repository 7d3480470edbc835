"""A model's answers image by image, as far as membership attacks look at them.

Paper: Song and Mittal, "Systematic Evaluation of Privacy Risks of Machine Learning Models", USENIX Security 2021 (modified
entropy); Carlini et al., "Membership Inference Attacks From First Principles", S&P 2022, arXiv 2112.03570 (the logit of the
confidence).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.errors import UnlearnError
from unlearn_core.results.evaluation import Predictions

Values = NDArray[np.float64]

PARTS = ("forget", "test_forget", "retain", "test")
"""The parts of a split: what is forgotten and what is kept, of the training and of the test images."""

MOST_RETAINED = 10_000
_SMALLEST_CHANCE = 1e-38  # below, float32 has no numbers of full precision
_SMALLEST = 1e-300  # the logarithm of a confidence of zero would be infinite


@dataclass(frozen=True, eq=False)
class PartAnswers:
    """A model's answers on one part of a split.

    Attributes:
        indices: Positions of the images in the source's training or test order, (N,).
        labels: True classes, (N,).
        predicted: Answered classes, (N,).
        margin: ln p_y - ln(1 - p_y) with the probability p_y of the true class, (N,): the confidence, told apart near 1 too.
        entropy: Modified entropy, natural log, (N,).
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    margin: Values
    entropy: Values

    def __len__(self) -> int:
        return len(self.labels)


ModelAnswers = Mapping[str, PartAnswers]
"""By the name of the part."""


def part_answers(predictions: Predictions) -> PartAnswers:
    """What is kept of a model's answers; they must hold the probabilities of every class."""
    if not len(predictions.labels):
        none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        return PartAnswers(none, none, none, nothing, nothing)
    if predictions.chances is None:
        raise ValueError("these predictions hold no probabilities")
    chances = predictions.chances.astype(np.float64)
    rows = np.arange(len(chances))
    own = chances[rows, predictions.labels]
    # The sum of the others tells more than 1 - own: it is exact where own is rounded to 1.
    others = np.where(np.arange(chances.shape[1]) == predictions.labels[:, None], 0.0, chances).sum(axis=1)
    margin = np.log(np.maximum(own, _SMALLEST_CHANCE)) - np.log(np.maximum(others, _SMALLEST_CHANCE))
    entropy = modified_entropy(chances, predictions.labels)
    return PartAnswers(predictions.indices, predictions.labels, predictions.predicted, margin, entropy)


def arrays_of(parts: Mapping[str, Predictions]) -> dict[str, NDArray[Any]]:
    """The answers as plain arrays for a file; of the retain set the first 10,000 in the order of the attacks."""
    arrays: dict[str, NDArray[Any]] = {}
    for name in PARTS:
        answers = part_answers(parts[name])
        rows = attack_order(answers.labels)[:MOST_RETAINED] if name == "retain" else slice(None)
        for field, values in vars(answers).items():
            small = np.float32 if values.dtype.kind == "f" else np.int32
            arrays[f"{name}.{field}"] = values[rows].astype(small)
    return arrays


def load_answers(path: Path) -> dict[str, PartAnswers]:
    """What `arrays_of` gave, by part.

    Raises:
        UnlearnError: The file isn't one of these.
    """
    fields = {"indices": np.int64, "labels": np.int64, "predicted": np.int64}
    names = (*fields, "margin", "entropy")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {
                part: PartAnswers(
                    *(stored[f"{part}.{name}"].astype(fields.get(name, np.float64)) for name in names)
                )
                for part in PARTS
            }
    except (OSError, ValueError, KeyError) as error:
        raise UnlearnError(
            f"{path.name} of this run can't be read ({error}); start the run again."
        ) from error


def modified_entropy(chances: Values, labels: NDArray[np.int64]) -> Values:
    """Entropy that knows the true class: 0 for a sure right answer, large for a sure wrong one, (N,), natural log.

    -(1 - p_y) log p_y - sum over the other classes of p_i log(1 - p_i), row by row. The formula in the code of several
    unlearning papers differs: it takes log p for log(1 - p) and mixes the rows' labels.

    Args:
        chances: Softmax probabilities, (N, K).
        labels: True classes, (N,).

    Paper: Song and Mittal, equation 8.
    """
    rows = np.arange(len(labels))
    of_true = chances[rows, labels]
    others = -chances * np.log(np.maximum(1 - chances, _SMALLEST))
    others[rows, labels] = 0.0
    own: Values = -(1 - of_true) * np.log(np.maximum(of_true, _SMALLEST))
    total: Values = own + others.sum(axis=1)
    return total


def attack_order(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """In which order images are taken for the attacks, as positions (N,).

    As published it is the source's own order. Where that goes class by class (folders), the first images would be of the
    first classes only: there it is the first image of every class, then the second, and so on.
    """
    n = len(labels)
    if n < 2 or (np.diff(labels) < 0).any():
        return np.arange(n)
    starts = np.searchsorted(labels, labels, side="left")
    order: NDArray[np.int64] = np.lexsort((labels, np.arange(n) - starts)).astype(np.int64)
    return order
