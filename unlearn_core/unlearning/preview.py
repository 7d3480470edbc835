"""What a plan would do, before anything runs: accuracy by class with its channels silenced."""

import numpy as np
import torch
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats, collect
from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.channels.surgery import silenced
from unlearn_core.data.sets import ImageSet
from unlearn_core.data.split import ForgetSplit
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import predict
from unlearn_core.progress import Report, silent
from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams
from unlearn_core.unlearning.tfidf_prune import plan_for, scoring_images

SAMPLE = 1000


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
    positions = [_evenly(np.flatnonzero(labels == k), each) for k in range(num_classes)]
    return images.select(torch.from_numpy(np.sort(np.concatenate(positions))))


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


def _evenly(positions: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    if len(positions) <= count:
        return positions
    return positions[np.linspace(0, len(positions) - 1, count).round().astype(np.int64)]
