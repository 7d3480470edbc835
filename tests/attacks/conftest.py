"""Predictions drawn at random, and answers whose margins are given."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from unlearn_core.attacks.answers import PartAnswers
from unlearn_core.results.evaluation import Predictions


@pytest.fixture
def predictions() -> Callable[..., Predictions]:
    """So many images, with a seed, and with labels where they are given."""

    def made(n, seed=0, labels=None, classes=4):
        rng = np.random.default_rng(seed)
        logits = rng.normal(0, 4, (n, classes))
        chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        labels = rng.integers(0, classes, n) if labels is None else labels
        own = chances[np.arange(n), labels]
        return Predictions(np.arange(n) + 100, labels, chances.argmax(1), own, chances.astype(np.float32))

    return made


@pytest.fixture
def model() -> Callable[..., Mapping[str, PartAnswers]]:
    """A model by the margins of its forget set and of unseen images of the same kind."""

    def part(margin):
        none = np.zeros(len(margin), dtype=np.int64)
        return PartAnswers(none, none, none, np.asarray(margin, dtype=float), np.ones(len(margin)))

    def made(forget, unseen):
        other = part(np.zeros(5))
        return {"forget": part(forget), "test_forget": part(unseen), "retain": other, "test": other}

    return made
