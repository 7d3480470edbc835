"""How to take gradient steps, as settings; known without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unlearn_core.params import setting

AUGMENTATIONS = ("none", "crop", "crop_flip")
SCHEDULES = ("cosine", "constant", "one_cycle", "multistep")
PRECISIONS = ("auto", "float32", "bfloat16")
FROM_SCRATCH: Mapping[str, Any] = {"epochs": 182, "lr": 0.1, "schedule": "multistep"}
"""How the papers that compare with retraining train from scratch, where it is not the default here."""


@dataclass(frozen=True)
class Recipe:
    """How to take gradient steps; the defaults are the papers' common recipe, at a fine-tuning rate."""

    epochs: int = setting(5, "Passes over the images", low=0, high=1000)
    lr: float = setting(
        0.01, "Learning rate at the start of the schedule", label="Learning rate", low=0.0, high=10.0
    )
    batch_size: int = setting(128, "Images in a step", low=1, high=4096, advanced=True)
    momentum: float = setting(0.9, "Momentum (Nesterov) of SGD", low=0.0, high=0.999, advanced=True)
    weight_decay: float = setting(5e-4, "L2 penalty on all weights", low=0.0, high=1.0, advanced=True)
    schedule: str = setting(
        "cosine",
        "Course of the learning rate",
        label="Course of the learning rate",
        choices=SCHEDULES,
        advanced=True,
    )
    augment: str = setting(
        "crop",
        "Random change of each image: shifts, or shifts and mirroring",
        label="Augmentation",
        choices=AUGMENTATIONS,
        advanced=True,
    )
    precision: str = setting(
        "auto", "Arithmetic of a step", label="Arithmetic", choices=PRECISIONS, advanced=True
    )
    freeze_bn: bool = setting(
        False,
        "Keep the statistics of batch norms as they are, and normalise by them",
        label="Freeze batch-norm statistics",
    )


@dataclass(frozen=True)
class Stretch(Recipe):
    """A recipe for a part of a longer training (a federated client's round): its schedule runs over the whole of it.

    Momentum starts anew. For passes over the same images in every epoch.
    """

    before: int = setting(0, "Epochs of the training that went before", low=0)
    in_all: int = setting(1, "Epochs of the whole training", low=1)
