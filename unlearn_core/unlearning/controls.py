"""Controls that stand beside every result: what no real unlearning may fail to beat."""

import torch

from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.unlearning.methods.controls import NoParams
from unlearn_core.unlearning.steps import head_of
from unlearn_core.unlearning.task import Outcome, Task

# Low enough that no other logit is below it, and finite, so that softmax and cross-entropy stay defined.
_NEVER = -1e4


def untouched(model: Classifier, params: NoParams, task: Task) -> Outcome:
    """The model as it is."""
    return Outcome(model)


@torch.no_grad()
def mask_logit(model: Classifier, params: NoParams, task: Task) -> Outcome:
    """Silences the output of each class to forget: accuracy drops to zero, though nothing inside was forgotten."""
    head = head_of(model)
    for k in _classes(task):
        head.weight[k] = 0.0
        head.bias[k] = _NEVER
    return Outcome(model)


@torch.no_grad()
def reset_row(model: Classifier, params: NoParams, task: Task) -> Outcome:
    """Draws the output weights of each class to forget anew, with bias zero."""
    head = head_of(model)
    generator = torch.Generator().manual_seed(task.seed)
    bound = head.in_features**-0.5
    for k in _classes(task):
        head.weight[k] = ((torch.rand(head.in_features, generator=generator) * 2 - 1) * bound).to(
            head.weight.device
        )
        head.bias[k] = 0.0
    return Outcome(model)


def _classes(task: Task) -> tuple[int, ...]:
    if not task.split.forget_classes:
        raise UnlearnError(
            "This control acts on the outputs of whole classes; choose classes, not a random share."
        )
    return task.split.forget_classes
