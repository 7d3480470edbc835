"""l1-sparse: fine-tuning on the retain set with a penalty that prunes while it forgets.

    min_θ ℓ(θ; D_r) + γ_t ||θ||_1,   t = 0 .. T-1, with T0 last epochs free of penalty:
    constant γ, decreasing γ (1 - t / (T - T0)) (the paper's best), increasing γ t / (T - T0).

The norm takes in every parameter, batch norms and biases too; `penalize = weights` leaves tensors of one dimension
out. By sub-gradients (published) weights become small and hardly ever zero, so sparsity is told below a stated size.
`proximal` shrinks every weight by η γ / (1 - momentum) after each step instead, the way that the penalty's
sub-gradient would move it in the long run, and stops at zero: exact zeros.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 4,
equation (2). γ = 1e-4 is what the authors' runner used; their argument parser's 0.2 wrecks the model.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.training import DIVERGED, Loss, Pass, cross_entropy
from unlearn_core.unlearning.methods.l1_sparse import COURSES, METHOD, L1SparseParams
from unlearn_core.unlearning.steps import bn_facts, descend
from unlearn_core.unlearning.task import Outcome, Task

SMALL = 1e-4
"""A weight below this counts as gone where sparsity is told."""


def run(model: Classifier, params: L1SparseParams, task: Task) -> Outcome:
    """Fine-tunes in place, sparser from epoch to epoch."""
    epochs = [[_penalised(model, gamma, params, task)] for gamma in gammas(params)]
    descend(model, epochs, params, task)
    made = {"sparse_by": METHOD.name} if params.proximal and task.mask is None else {}
    return Outcome(model, facts={**bn_facts(params), **sparsity(model), **made})


def gammas(params: L1SparseParams) -> list[float]:
    """γ_t of each epoch.

    Raises:
        UnlearnError: More epochs are free of penalty than there are.
    """
    penalised = params.epochs - params.free_epochs
    if penalised < 0:
        raise UnlearnError(
            f"free_epochs can't be {params.free_epochs}, for there are {params.epochs} epochs in all; lower it."
        )
    course = COURSES[params.penalty]
    return [params.gamma * course(t / penalised) if t < penalised else 0.0 for t in range(params.epochs)]


def penalised_parameters(net: nn.Module, params: L1SparseParams) -> list[nn.Parameter]:
    """What the norm takes in."""
    return [p for p in net.parameters() if params.penalize == "all" or p.ndim > 1]


def sparsity(model: Classifier) -> Mapping[str, Any]:
    """How many of the convolutions' weights are gone, nearly or exactly; shares in [0, 1], also of all parameters."""
    convolutions = [m.weight for m in model.net.modules() if isinstance(m, nn.Conv2d)]
    everything = list(model.net.parameters())
    small, exact = (_count_below(convolutions, size) for size in (SMALL, 0.0))
    weights = sum(int(t.numel()) for t in convolutions)
    return {
        "sparsity_below": SMALL,
        "sparsity": small / max(1, weights),
        "sparsity_all": _share_below(everything, SMALL),
        "exact_zeros": exact / max(1, weights),
        "near_zero_weights": small,
        "zero_weights": exact,
        "weights": weights,
    }


def _penalised(model: Classifier, gamma: float, params: L1SparseParams, task: Task) -> Pass:
    tensors = penalised_parameters(model.net, params)
    if not params.proximal:
        # A large penalty is no divergence: of many weights it is a large number from the first step on.
        return Pass(
            task.split.retain, _with_norm(tensors, gamma), most=DIVERGED + gamma * _norm(tensors).item()
        )
    reach = gamma / (1 - params.momentum)
    return Pass(
        task.split.retain, cross_entropy, after_step=lambda rate: soft_threshold(tensors, rate * reach)
    )


def _with_norm(tensors: list[nn.Parameter], gamma: float) -> Loss:
    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(model, images, labels) + gamma * _norm(tensors)

    return loss


def _norm(tensors: list[nn.Parameter]) -> Tensor:
    return torch.stack([p.abs().sum() for p in tensors]).sum()


@torch.no_grad()
def soft_threshold(tensors: list[nn.Parameter], size: float) -> None:
    """Moves every number towards zero by that size and no further, in place."""
    for p in tensors:
        p.copy_(p.sign() * (p.abs() - size).clamp(min=0))


def _count_below(tensors: list[Any], size: float) -> int:
    return sum(int((t.abs() <= size).sum()) for t in tensors)


def _share_below(tensors: list[Any], size: float) -> float:
    return _count_below(tensors, size) / max(1, sum(int(t.numel()) for t in tensors))
