"""SalUn: random labels, moving only the weights that the forget set's loss depends on.

The mask is 1 on the given share of all parameters with the largest `|Σ_{D_f} ∇ℓ(θ_o)|` (the size of the sum, in
evaluation mode, ranked over the whole model); random-label training then moves only those:

    θ_u = m ⊙ (Δθ + θ_o) + (1 - m) ⊙ θ_o

Paper: Fan et al., "SalUn: Empowering Machine Unlearning via Gradient-based Weight Saliency", ICLR 2024, arXiv
2310.12508, equations (3) to (6). Frozen weights are restored after each step, as the code does since February 2026;
before, it zeroed their gradients only, and momentum and weight decay still moved them. Batch norms' statistics are no
weights and follow the training unless `freeze_bn` is set. On a sparse model the share is of the kept weights.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool
from torch import Tensor

from unlearn_core.models.classifier import Classifier
from unlearn_core.unlearning import random_label
from unlearn_core.unlearning.gradients import flat, set_flat, unmasked, weighted_gradient
from unlearn_core.unlearning.methods.salun import SalUnParams
from unlearn_core.unlearning.steps import bn_facts, descend
from unlearn_core.unlearning.task import Outcome, Task


def run(model: Classifier, params: SalUnParams, task: Task) -> Outcome:
    """Trains the salient weights in place, as random labels do, and restores the others after each step."""
    mask = saliency(model, params, task)
    descend(
        model,
        random_label.passes(params, task),
        params,
        task,
        after_step=restoring(model, mask),
    )
    return Outcome(model, facts={**bn_facts(params), "salient_weights": int(mask.sum())})


def saliency(model: Classifier, params: SalUnParams, task: Task) -> Bool[Tensor, " d"]:
    """Which of the d parameters may move."""
    forget = task.split.forget
    gradient = weighted_gradient(
        model,
        forget,
        torch.ones(len(forget)),
        batch_size=params.batch_size,
        report=task.report,
        stage="saliency",
    )
    keep = unmasked(model, task)
    ranked = torch.where(keep, gradient.abs(), -1.0)
    mask = torch.zeros_like(keep)
    mask[ranked.topk(round(params.salient * int(keep.sum()))).indices] = True
    return mask


def restoring(model: Classifier, mask: Bool[Tensor, " d"]) -> Callable[[], None]:
    """A function that puts the parameters outside the mask back to what they are now, bit for bit."""
    before = flat(model)
    return lambda: set_flat(model, torch.where(mask, flat(model), before))
