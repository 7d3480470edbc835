"""Seconds of what runs are made of, measured on this machine; each on a copy of the model, the quickest of a few tries."""

import copy
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from unlearn_core.data.sets import ImageSet
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import choose_device, device_of, predict
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.training import fit
from unlearn_core.sparsify.synflow import flow, positive
from unlearn_core.unlearning.gradients import TOGETHER, per_image_gradients

_TRIES = 2
_ANSWERED = 256
_MOST_NUMBERS = 2**28


def step_seconds(model: Classifier, images: ImageSet, recipe: Recipe, device: str = "cpu") -> float:
    """Seconds of one training step on the device, of as many images as the recipe says or there are."""
    trained = copy.deepcopy(model).to(choose_device(device))
    batch = images.select(torch.arange(min(len(images), recipe.batch_size)))
    one_step = replace(recipe, epochs=1, batch_size=len(batch))
    fit(trained, batch, one_step, seed=0)
    return _quickest(lambda: fit(trained, batch, one_step, seed=0))


def answer_seconds(model: Classifier, images: ImageSet, device: str = "cpu") -> float:
    """Seconds of one image's answer on the device, in a run's own batches."""
    copied = copy.deepcopy(model).to(choose_device(device))
    few = images.images[:_ANSWERED]
    predict(copied, few)
    return _quickest(lambda: predict(copied, few)) / len(few)


def gradient_seconds(model: Classifier, images: ImageSet, device: str = "cpu") -> tuple[float, float]:
    """Seconds of one image's own gradient on the device, and of multiplying two such gradients."""
    copied = copy.deepcopy(model).to(choose_device(device))
    few = images.select(torch.arange(min(len(images), TOGETHER)))
    rows = per_image_gradients(copied, few)
    spent = _quickest(lambda: per_image_gradients(copied, few))
    # Few rows would time the memory rather than the multiplying; of a large model there is room for few.
    rows = rows.repeat(max(1, min(4, _MOST_NUMBERS // rows.numel())), 1)
    multiplied = _quickest(lambda: float((rows @ rows.T).sum()))
    return spent / len(few), multiplied / len(rows) ** 2


def flow_seconds(model: Classifier, images: ImageSet, device: str = "cpu") -> float:
    """Seconds of one pass of the synthetic flow there and back on the device, for images of this size."""
    net = positive(copy.deepcopy(model.net).to(choose_device(device)))
    shape = (1, model.in_channels, *images.images.shape[2:])
    ones = torch.ones(shape, dtype=torch.float64, device=device_of(net))
    flow(net, ones)
    return _quickest(lambda: flow(net, ones))


def _quickest(work: Callable[[], object]) -> float:
    return min(_timed(work) for _ in range(_TRIES))


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
