"""Trials whose gaps are worked by hand."""

from collections.abc import Callable
from typing import Any

import pytest

from unlearn_core.experiments.trial import Trial

RUN = "20260101T000000Z-abcdefghijklmnop"
RETRAINED = {"ua": 1.0, "mia": 1.0, "ra": 1.0, "ta": 0.94}


def made(method: str = "fine_tune", **changes: Any) -> Trial:
    """A trial of a run on a model with two classes, of which "b" is forgotten."""
    values: dict[str, Any] = {
        "source": RUN, "part": "after", "method": method, "params": {}, "chosen": "published", "model": "net", "base": "dense",
        "arch": "vgg", "data": "digits", "data_digest": "images", "classes": ("b",), "fraction": 0.0, "digest": "b", "seed": 0,
        "sparsity": 0.0, "sparsifier": "", "seconds": 5.0, "preparing": None, "ua": 0.9, "mia": 0.8, "ra": 0.98, "ta": 0.92,
        "forget_test": 0.1, "per_class": (0.92, 0.1), "per_class_total": (50, 50), "names": ("a", "b"), "mia_privacy": 0.5,
        "loss_attack": 0.5, "js": {"forget": 0.1, "test": 0.02}, "agreement": {"forget": 0.8, "test": 0.9}, "facts": {},
    }  # fmt: skip
    own = {"part": "before", "seconds": None} if method == "original" else {}
    target = {**RETRAINED, "seconds": 10.0} if method == "retrain" else {}
    return Trial(**{**values, **own, **target, **changes})


@pytest.fixture
def trial() -> Callable[..., Trial]:
    """`trial(method, **changes)`."""
    return made
