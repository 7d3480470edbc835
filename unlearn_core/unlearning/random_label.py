"""RL: the forget set under random labels, the retain set under its own.

    min_θ E_{D_f, y' != y} ℓ(x, y') + E_{D_r} ℓ(x, y)

Paper: Golatkar et al., CVPR 2020, arXiv 1911.04933, and Graves et al., AAAI 2021; as set out by Fan et al., "SalUn",
ICLR 2024, arXiv 2310.12508, equation (6). The released code draws from all classes, the true one among them
(`exclude_true` off), makes one pass over the forget set and then one over the retain set on CIFAR-10 (`sequential`),
and shuffles both together on CIFAR-100 (`mixed`); it draws anew in every epoch (`per_epoch`), other code once.
"""

import torch
from jaxtyping import Int64
from torch import Tensor

from unlearn_core.models.classifier import Classifier
from unlearn_core.models.training import Pass, cross_entropy
from unlearn_core.unlearning.methods.random_label import RandomLabelParams
from unlearn_core.unlearning.steps import bn_facts, descend, joined, relabelled
from unlearn_core.unlearning.task import Outcome, Task


def run(model: Classifier, params: RandomLabelParams, task: Task) -> Outcome:
    """Trains in place on wrong labels for the forget set and right ones for the rest."""
    descend(model, passes(params, task), params, task)
    return Outcome(model, facts=bn_facts(params))


def passes(params: RandomLabelParams, task: Task) -> list[list[Pass]]:
    """The passes of each epoch."""
    forget, retain = task.split.forget, task.split.retain
    generator = torch.Generator().manual_seed(task.seed)

    def draw() -> Tensor:
        return wrong_labels(forget.labels, len(task.split.classes), generator, params.exclude_true)

    once = draw()
    labels = [once if params.relabel == "once" else draw() for _ in range(params.epochs)]
    if params.order == "sequential":
        return [
            [Pass(relabelled(forget, wrong), cross_entropy), Pass(retain, cross_entropy)] for wrong in labels
        ]
    both = joined([forget, retain])
    return [[Pass(relabelled(both, torch.cat([wrong, retain.labels])), cross_entropy)] for wrong in labels]


def wrong_labels(
    labels: Int64[Tensor, " n"], num_classes: int, generator: torch.Generator, exclude_true: bool
) -> Int64[Tensor, " n"]:
    """A class for each image, uniformly at random: among the others, or among all."""
    if not exclude_true:
        return torch.randint(0, num_classes, labels.shape, generator=generator)
    return (labels + torch.randint(1, num_classes, labels.shape, generator=generator)) % num_classes
