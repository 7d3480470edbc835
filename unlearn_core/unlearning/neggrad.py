"""NegGrad+: down the retain set's loss and up the forget set's in the same step.

    min_θ β ℓ(D_r) - (1 - β) ℓ(D_f),   one batch of each a step, the forget set beginning again as often as needed.

Paper: Kurmanji et al., "Towards Unbounded Machine Unlearning", NeurIPS 2023, arXiv 2302.09880, section 4 (a baseline
there); Zhao et al., NeurIPS 2024, arXiv 2406.01257. Defaults are those of the former's small-scale code: β 0.95, 10
epochs at 0.01 of plain SGD without weight decay; on large scale it has β 0.9999.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unlearn_core.data.sets import ImageSet
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import device_of
from unlearn_core.models.training import Loss, Pass, batches, cross_entropy
from unlearn_core.unlearning.methods.neggrad import NegGradParams
from unlearn_core.unlearning.steps import bn_facts, descend
from unlearn_core.unlearning.task import Outcome, Task


def run(model: Classifier, params: NegGradParams, task: Task) -> Outcome:
    """Trains in place."""
    loss = difference(endless(model, params, task), params.beta)
    descend(model, [[Pass(task.split.retain, loss)]] * params.epochs, params, task)
    return Outcome(model, facts=bn_facts(params))


def difference(forget: Iterator[tuple[Tensor, Tensor]], beta: float) -> Loss:
    """β ℓ(retain batch) - (1 - β) ℓ(the forget set's next batch)."""

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        against = cross_entropy(model, *next(forget))
        return beta * cross_entropy(model, images, labels) - (1 - beta) * against

    return loss


def endless(model: Classifier, params: NegGradParams, task: Task) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented batches of the forget set without end, in a new order each time round."""
    forget = task.split.forget
    here = ImageSet(forget.images.to(device_of(model)), forget.labels, forget.indices)
    generator = torch.Generator().manual_seed(task.seed + 1)  # the retain set's order has the seed itself
    while True:
        yield from batches(here, params.batch_size, params.augment, generator)
