"""The largest curvature of the loss along the weights that a mask keeps, and what it bounds."""

import torch
from torch import Tensor
from torch.nn import functional

from unlearn_core.data.sets import ImageSet
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import device_of, evaluating
from unlearn_core.progress import Progress, Report, silent
from unlearn_core.unlearning.gradients import unmasked
from unlearn_core.unlearning.task import Task

_TOLERANCE = 1e-3


def largest_curvature(
    model: Classifier, images: ImageSet, task: Task, *, rounds: int = 30, report: Report = silent
) -> float:
    """σ(m): the largest absolute eigenvalue of the Hessian of the mean cross-entropy, restricted to the weights kept.

    By power iteration on Hessian-vector products, in evaluation mode; it stops where a round changes less than a
    thousandth. The images are answered as one batch.

    Args:
        model: Read only.
        images: What the loss is over.
        task: Its mask says which weights are kept, its seed where the iteration begins.
        rounds: At most.
        report: Told of every round.
    """
    device, mask = device_of(model), unmasked(model, task)
    generator = torch.Generator().manual_seed(task.seed)
    vector = _unit(torch.randn(len(mask), generator=generator).to(device) * mask)
    parameters = list(model.net.parameters())
    sigma = 0.0
    with evaluating(model), torch.enable_grad():
        logits = model(images.images.to(device)).float()
        loss = functional.cross_entropy(logits, images.labels.to(device))
        gradient = _flat(torch.autograd.grad(loss, parameters, create_graph=True))
        for k in range(rounds):
            product = torch.autograd.grad(gradient @ vector, parameters, retain_graph=True)
            image = _flat(product).detach() * mask
            before, sigma = sigma, float(image.norm())
            if not sigma:
                break
            vector = _unit(image)
            report(Progress("curvature", k + 1, rounds))
            if abs(sigma - before) < _TOLERANCE * sigma:
                break
    return sigma


def distance(one: Tensor, two: Tensor) -> float:
    """Euclidean distance of two vectors of weights."""
    return float((one - two).norm())


def bound(lr: float, steps: int, moved: float, sigma: float) -> float:
    """η² t ||m ⊙ (θ_t - θ_0)|| σ(m): what the error of gradient ascent is at most, up to a constant.

    Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, proposition 2;
    after Thudi et al., "Unrolling SGD", EuroS&P 2022, arXiv 2109.13398.
    """
    return lr**2 * steps * moved * sigma


def _flat(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([t.reshape(-1) for t in tensors])


def _unit(vector: Tensor) -> Tensor:
    unit: Tensor = vector / vector.norm().clamp(min=1e-30)
    return unit
