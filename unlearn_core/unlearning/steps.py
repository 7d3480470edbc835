"""Gradient steps as every method takes them: masks kept, each epoch observed, what happened to batch norms told.

What all methods here share, and the authors' code does otherwise: SGD has Nesterov's momentum, a batch is 128 images where
a method names no other (their code: 256; their paper: 128), and pictures are shifted, and mirrored only where asked.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from unlearn_core.data.sets import ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import device_of
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.training import Pass, fit_passes
from unlearn_core.unlearning.task import Task


def descend(
    model: Classifier,
    epochs: Sequence[Sequence[Pass]],
    recipe: Recipe,
    task: Task,
    *,
    after_step: Callable[[], None] = lambda: None,
    optimizer: str = "sgd",
) -> None:
    """Trains the model in place; a sparse model's mask holds from before the first step to after the last.

    Args:
        model: Trained in place.
        epochs: The passes of each epoch.
        recipe: Rate, batch size and the rest.
        task: Seed, report, observer and mask.
        after_step: What the method itself restores after each step.
        optimizer: A name in `training.OPTIMIZERS`.
    """

    if task.mask:
        task = replace(task, mask=task.mask.to(device_of(model)))  # or each step would copy it there

    def restore() -> None:
        after_step()
        task.enforce(model)

    restore()
    fit_passes(
        model,
        epochs,
        recipe,
        seed=task.seed,
        report=task.report,
        after_step=restore,
        after_epoch=lambda epoch: task.observe(f"epoch {epoch}", model),
        optimizer=optimizer,
    )


def bn_facts(recipe: Recipe) -> Mapping[str, Any]:
    """What a result says of batch norms: whether their statistics followed the training or stayed."""
    return {"batch_norm_statistics": "frozen" if recipe.freeze_bn else "updated"}


UNTOUCHED_BN: Mapping[str, Any] = {"batch_norm_statistics": "frozen"}
"""The same for methods that only ever run the model in evaluation mode."""


def frozen_copy(model: Classifier) -> Classifier:
    """A teacher: the model as it is, in evaluation mode, that no gradient reaches."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def relabelled(images: ImageSet, labels: Tensor) -> ImageSet:
    """The same images under other labels (N,)."""
    return ImageSet(images.images, labels.to(torch.int64), images.indices)


def joined(parts: Sequence[ImageSet]) -> ImageSet:
    """Several sets as one, in that order."""
    return ImageSet(
        *(torch.cat([getattr(part, name) for part in parts]) for name in ("images", "labels", "indices"))
    )


def drawn(images: ImageSet, count: int, seed: int) -> ImageSet:
    """That many images at random, in a random order; all of them where there are no more."""
    generator = torch.Generator().manual_seed(seed)
    return images.select(torch.randperm(len(images), generator=generator)[:count])


def head_of(model: Classifier) -> nn.Linear:
    """The linear layer that gives the logits.

    Raises:
        UnlearnError: The model ends otherwise, or its last layer has no bias.
    """
    linear = [m for m in model.net.modules() if isinstance(m, nn.Linear)]
    if not linear or linear[-1].bias is None:
        raise UnlearnError(
            "This model doesn't end in a linear layer with a bias, so its outputs can't be changed one by one; "
            "choose a method that leaves them as they are."
        )
    return linear[-1]


def require_finite(model: Classifier, remedy: str) -> None:
    """Checks weights that were computed at one stroke.

    Raises:
        UnlearnError: Some aren't finite numbers; the sentence ends with the remedy.
    """
    broken = [name for name, p in model.net.named_parameters() if not torch.isfinite(p).all()]
    if broken:
        raise UnlearnError(f"The weights of {broken[0]!r} are no longer finite numbers; {remedy}")
