"""What a sparsifier is given, what it gives back, and training under a mask."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unlearn_core.data.sets import ImageSet
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import device_of
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.training import fit
from unlearn_core.progress import Report
from unlearn_core.sparsify.mask import SparseMask
from unlearn_core.store.files import write_npz

State = Mapping[str, Tensor]
"""A bare network's state dict: parameters and buffers."""


class Stages:
    """Finished stages of a run, kept as files, so that a resumed run goes on from the last one."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.recalled = 0.0
        """Seconds that the stages read from files took when they were computed."""

    def made(self, name: str, compute: Callable[[], State]) -> State:
        """What `compute` gives, from its file where an earlier attempt finished it."""
        if self.folder is None:
            return compute()
        path = self.folder / f"{name}.npz"
        if not path.is_file():
            started = time.perf_counter()
            arrays = {k: t.detach().cpu().numpy() for k, t in compute().items()}
            took = np.array(time.perf_counter() - started)
            write_npz(path, {**arrays, _SECONDS: took}, compress=False)
            return {k: torch.from_numpy(a) for k, a in arrays.items()}
        with np.load(path, allow_pickle=False) as stored:
            self.recalled += float(stored[_SECONDS])
            return {k: torch.from_numpy(stored[k]) for k in stored.files if k != _SECONDS}


_SECONDS = "|seconds"  # no parameter has such a name


@dataclass(frozen=True)
class Origin:
    """Where the dense weights that are ranked come from.

    Attributes:
        given: Whether they are the given model's own; otherwise a dense model is trained anew.
        recipe: How the dense model was trained, or is to be; None where nobody knows.
        seed: Of its initialisation, order and augmentation.
    """

    given: bool
    recipe: Recipe | None
    seed: int


@dataclass(frozen=True)
class SparseTask:
    """What a sparsifier is given beside its settings.

    Attributes:
        model: The dense model.
        images: The training images that the mask may depend on.
        origin: Where the dense weights come from.
        fresh: A newly initialised network of the same structure, on the model's device, from a seed.
        size: Height and width of the images in pixels.
        seed: Of every random draw.
        report: To be told at least once a batch.
        stages: Where finished stages are kept.
    """

    model: Classifier
    images: ImageSet
    origin: Origin
    fresh: Callable[[int], Classifier]
    size: tuple[int, int]
    seed: int
    report: Report
    stages: Stages


@dataclass(frozen=True)
class Found:
    """What a sparsifier gives back.

    Attributes:
        mask: The weights that stay.
        start: The weights that training under the mask begins with.
        facts: Plain values: rounds, trainings, choices made.
    """

    mask: SparseMask
    start: State
    facts: Mapping[str, Any] = field(default_factory=dict)


def copied(model: Classifier) -> dict[str, Tensor]:
    """The network's state, detached and in the plain memory layout, on the CPU."""
    return {name: t.detach().to("cpu", copy=True).contiguous() for name, t in model.net.state_dict().items()}


def train_under(
    mask: SparseMask,
    start: State,
    model: Classifier,
    images: ImageSet,
    recipe: Recipe,
    *,
    seed: int,
    report: Report,
    after_epoch: Callable[[int], Mapping[str, Any]] = lambda epoch: {},
) -> Classifier:
    """The model, in place, with the start weights under the mask, trained while the mask holds; in evaluation mode."""
    model.net.load_state_dict(start)
    mask = mask.to(device_of(model))
    mask.enforce(model.net)
    fit(
        model,
        images,
        recipe,
        seed=seed,
        report=report,
        after_step=lambda: mask.enforce(model.net),
        after_epoch=after_epoch,
    )
    return model.eval()
