"""What a plan would do, before anything runs: accuracy by class with its channels silenced, and how long a run takes."""

import copy
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats, collect
from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.channels.surgery import silenced
from unlearn_core.data.sets import ImageSet
from unlearn_core.data.split import ForgetSplit
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import choose_device, predict
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.training import fit
from unlearn_core.progress import Report, silent
from unlearn_core.unlearning.gradients import TOGETHER, per_image_gradients
from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams
from unlearn_core.unlearning.tfidf_prune import plan_for, scoring_images

SAMPLE = 1000
_TIMED_STEPS = 2
_ANSWERED = 256
_MOST_NUMBERS = 2**28


def scoring_stats(
    model: Classifier, split: ForgetSplit, params: TfidfPruneParams, report: Report = silent
) -> ActivationStats:
    """The statistics that a run with these settings scores its channels from.

    They depend on where activations are read and how many images of each class are scored, and not on which classes are to
    be forgotten.
    """
    scored = scoring_images(split, params.images_per_class)
    return collect(model, scored, split.classes, tap=params.tap, report=report)


def planned(
    model: Classifier, split: ForgetSplit, params: TfidfPruneParams, stats: ActivationStats, seed: int = 0
) -> PruningPlan:
    """The plan that a run with these settings carries out.

    Raises:
        UnlearnError: Nothing would be pruned, or there are too few images to score.
    """
    scored = scoring_images(split, params.images_per_class)
    return plan_for(model, scored, params, split, seed, unpruned=stats)


def stratified_sample(images: ImageSet, num_classes: int, size: int = SAMPLE) -> ImageSet:
    """About `size` images, as many of each class as there are, evenly spaced in the set's order; the same every time."""
    labels = images.labels.numpy()
    each = max(1, size // max(1, num_classes))
    kept = [_evenly(np.flatnonzero(labels == k), each) for k in range(num_classes)]
    return images.select(torch.from_numpy(np.sort(np.concatenate(kept))))


def confusion(
    model: Classifier, images: ImageSet, num_classes: int, report: Report = silent
) -> NDArray[np.int64]:
    """How many images of each true class got each answer, (K, K)."""
    labels = images.labels.numpy()
    answers = predict(model, images.images, report=report).argmax(dim=1).numpy()
    counted = np.bincount(labels * num_classes + answers, minlength=num_classes**2)
    return counted.reshape(num_classes, num_classes).astype(np.int64)


def masked_confusion(
    model: Classifier, plan: PruningPlan, images: ImageSet, num_classes: int, report: Report = silent
) -> NDArray[np.int64]:
    """The same with a plan's channels silent; the model is as it was after, also after an exception.

    This is the model right after pruning, before any fine-tuning.

    Raises:
        UnlearnError: The plan is for another model.
    """
    example = model.prepare(images.images[:4].to(model.mean.device))
    with silenced(model.net, plan, example):
        return confusion(model, images, num_classes, report)


def step_seconds(
    model: Classifier, images: ImageSet, recipe: Recipe, device: str = "cpu", report: Report = silent
) -> float:
    """Seconds of one training step on the device, measured on a copy of the model; the quickest of a few."""
    trained = copy.deepcopy(model).to(choose_device(device))
    batch = images.select(torch.arange(min(len(images), recipe.batch_size)))
    one_step = replace(recipe, epochs=1, batch_size=len(batch))
    fit(trained, batch, one_step, seed=0, report=report)
    return min(
        _timed(lambda: fit(trained, batch, one_step, seed=0, report=report)) for _ in range(_TIMED_STEPS)
    )


def answer_seconds(model: Classifier, images: ImageSet, device: str = "cpu") -> float:
    """Seconds of one image's answer on the device, in a run's own batches; on a copy of the model."""
    copied = copy.deepcopy(model).to(choose_device(device))
    few = images.images[:_ANSWERED]
    return min(_timed(lambda: predict(copied, few)) for _ in range(_TIMED_STEPS + 1)) / len(few)


def gradient_seconds(model: Classifier, images: ImageSet, device: str = "cpu") -> tuple[float, float]:
    """Seconds of one image's own gradient on the device, and of multiplying two such gradients; on a copy of the model."""
    copied = copy.deepcopy(model).to(choose_device(device))
    few = images.select(torch.arange(min(len(images), TOGETHER)))
    rows = per_image_gradients(copied, few)
    spent = min(_timed(lambda: per_image_gradients(copied, few)) for _ in range(_TIMED_STEPS))
    # Few rows would time the memory rather than the multiplying; of a large model there is room for few.
    rows = rows.repeat(max(1, min(4, _MOST_NUMBERS // rows.numel())), 1)
    multiplied = min(_timed(lambda: float((rows @ rows.T).sum())) for _ in range(_TIMED_STEPS))
    return spent / len(few), multiplied / len(rows) ** 2


def _evenly(positions: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    if len(positions) <= count:
        return positions
    return positions[np.linspace(0, len(positions) - 1, count).round().astype(np.int64)]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
