"""SCRUB: a student that stays near its teacher on the retain set and leaves it on the forget set.

The teacher is the original model. In each of the first `max_epochs` epochs one pass over D_f maximises the
divergence; in every epoch one pass over D_r minimises

    γ ℓ + α T² KL(teacher || student),   softened by the temperature T.

Rewinding (SCRUB+R) keeps the model of each epoch and gives the one whose error on the forget set is nearest to the
last one's error on held-out images of the same classes: forgotten as well as what was never seen, and no better.

Paper: Kurmanji et al., "Towards Unbounded Machine Unlearning", NeurIPS 2023, arXiv 2302.09880, equations (3) and (4),
section 3.3. Defaults are the authors' large-scale ones. Deviations: a constant rate (theirs falls only after the last
epoch); the rewind's held-out images are the test images, weighted to the classes of the forget set, for the data sets
here have no third part: test accuracy is then no longer untouched, and the result says so.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from unlearn_core.data.sets import ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import predict
from unlearn_core.models.training import Loss, Pass, cross_entropy
from unlearn_core.unlearning.methods.scrub import ScrubParams
from unlearn_core.unlearning.steps import bn_facts, descend, frozen_copy
from unlearn_core.unlearning.task import Outcome, Task

_HELD_OUT = "SCRUB+R chose its epoch by errors on the test images, so its test accuracy is not untouched."


def run(model: Classifier, params: ScrubParams, task: Task) -> Outcome:
    """Trains the student in place; with rewinding, puts it back to the epoch nearest."""
    if params.rewind and task.split.forget_classes:
        raise UnlearnError(
            "Rewinding asks for as many errors as on unseen images, but whole classes are to be forgotten altogether; "
            "turn rewind off, or choose a random share."
        )
    epochs: list[dict[str, Tensor]] = []

    def observe(rung: str, student: Classifier) -> Mapping[str, Any]:
        if params.rewind:
            epochs.append({n: t.detach().clone() for n, t in student.net.state_dict().items()})
        return task.observe(rung, student)

    descend(
        model, passes(model, params, task), params, replace(task, observe=observe), optimizer=params.optimizer
    )
    facts = dict(bn_facts(params))
    if epochs:
        facts["rewind"] = rewound(model, epochs, task)
        facts["notes"] = [_HELD_OUT]
    return Outcome(model, facts=facts)


def passes(model: Classifier, params: ScrubParams, task: Task) -> list[list[Pass]]:
    """The passes of each epoch: away from the teacher on D_f while that lasts, then towards it on D_r."""
    teacher = frozen_copy(model)
    divergence = distance(teacher, params.temperature)

    def leave(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return -divergence(model, images, labels)

    def stay(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        near = divergence(model, images, labels)
        return params.gamma * cross_entropy(model, images, labels) + params.alpha * near

    away = Pass(task.split.forget, leave, params.forget_batch_size)
    back = Pass(task.split.retain, stay)
    return [[away, back] if epoch < params.max_epochs else [back] for epoch in range(params.epochs)]


def kl(teacher: Float[Tensor, "n K"], student: Float[Tensor, "n K"], temperature: float) -> Float[Tensor, ""]:
    """T² KL(teacher || student) of softened answers from logits, in nats, mean over the batch."""
    expected = (teacher / temperature).log_softmax(dim=1)
    got = (student / temperature).log_softmax(dim=1)
    return functional.kl_div(got, expected, reduction="batchmean", log_target=True) * temperature**2


def distance(teacher: Classifier, temperature: float) -> Loss:
    """How far a model's answers on a batch lie from the teacher's."""

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            expected = teacher(images).float()
        return kl(expected, model(images).float(), temperature)

    return loss


def rewound(model: Classifier, epochs: list[dict[str, Tensor]], task: Task) -> Mapping[str, Any]:
    """Puts the model to the epoch whose error on D_f is nearest to the last one's on held-out images; says which."""
    test = task.split.test
    held_out = weighted_error(missed(model, test, task), test, task.split.forget, len(task.split.classes))
    errors = []
    for state in epochs:
        model.net.load_state_dict(state)
        errors.append(float(missed(model, task.split.forget, task).cpu().double().mean()))
    nearest = min(range(len(errors)), key=lambda e: abs(errors[e] - held_out))
    model.net.load_state_dict(epochs[nearest])
    return {
        "epoch": nearest + 1,
        "held_out_error": held_out,
        "forget_errors": errors,
    }


def missed(model: Classifier, images: ImageSet, task: Task) -> Bool[Tensor, " n"]:
    """Which images the model answers wrongly."""
    logits = predict(model, images.images, report=task.report, stage="rewinding")
    return logits.argmax(dim=1) != images.labels


def weighted_error(wrong: Bool[Tensor, " n"], images: ImageSet, like: ImageSet, num_classes: int) -> float:
    """The share of wrong answers, were there as many images of each class as in another set.

    Classes without images are left out.
    """
    there = torch.bincount(images.labels, minlength=num_classes)
    wanted = torch.bincount(like.labels, minlength=num_classes).double() * (there > 0)
    errors = torch.bincount(images.labels[wrong], minlength=num_classes) / there.clamp(min=1)
    return float((wanted * errors).sum() / wanted.sum().clamp(min=1))
