"""FF: noise on every weight, the more the less the retain set needs it.

The diagonal Fisher information F of the retain set, from `Σ_y p_y (∇ mean-batch ℓ(x, y))²`, sets the noise

    θ_u = θ + sqrt(var) ε,  ε ~ N(0, 1),   var = α min(1 / (F + 1e-8), 1e3),

averaged over the inputs of each output (dimension 1 of a tensor), with the cap at 1e2 and ten times the variance in
the last layer, and ten times in tensors of one dimension. Where whole classes are forgotten, their rows of the last
layer are drawn anew around 0 (variance 1e-3, as in the code).

Paper: Golatkar et al., "Eternal Sunshine of the Spotless Net", CVPR 2020, arXiv 1911.04933; as run by Jia et al.,
NeurIPS 2023, arXiv 2304.04934. Deviations from the latter's code: the last layer's rows are reset on an explicit flag
(the code's trigger, exactly 4,500 forgotten images, also wipes class 9 under 10 % random forgetting of CIFAR-10); the
last layer is found by its place, not by its size; on a sparse model the average takes in the kept weights only (the
code's 1e3 at pruned weights, whose F is 0, drowns the kept ones); a smaller number of images may be drawn. As in the
code, a batch's mean gradient is squared, which understates F; batches of one image give F itself. The paper has var ~
F^-1/2, the code F^-1: the code's is here.
"""

import torch
from torch import Tensor
from torch.nn import functional

from unlearn_core.data.sets import ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import device_of, evaluating
from unlearn_core.progress import Progress, Report
from unlearn_core.unlearning.methods.fisher import FisherParams
from unlearn_core.unlearning.steps import UNTOUCHED_BN, drawn, head_of, require_finite
from unlearn_core.unlearning.task import Outcome, Task

CAP, HEAD_CAP, RAISED, ROW_VARIANCE = 1e3, 1e2, 10.0, 1e-3


def run(model: Classifier, params: FisherParams, task: Task) -> Outcome:
    """Adds the noise, in place."""
    reset = _classes_to_reset(params, task)
    images = task.split.retain if not params.samples else drawn(task.split.retain, params.samples, task.seed)
    head = head_of(model)
    fisher = fisher_diagonal(model, images, params.batch_size, task.report)
    generator = torch.Generator().manual_seed(task.seed)
    keep = task.mask.keep if task.mask else {}
    with torch.no_grad():
        for name, p in model.net.named_parameters():
            in_head = p is head.weight or p is head.bias
            variance = noise_variance(fisher[name], params.alpha, in_head, keep.get(name))
            noise = torch.randn(p.shape, generator=generator).to(p.device)
            if in_head and reset:
                p[list(reset)] = 0.0
                variance[list(reset)] = ROW_VARIANCE
            p.add_(variance.sqrt() * noise)
    task.enforce(model)
    require_finite(model, "lower alpha.")
    return Outcome(model, facts={**UNTOUCHED_BN, "images": len(images), "rows_reset": list(reset)})


def fisher_diagonal(
    model: Classifier, images: ImageSet, batch_size: int, report: Report
) -> dict[str, Tensor]:
    """The diagonal F by parameter name: expected squared gradients under the model's own answers, in evaluation mode."""
    device = device_of(model)
    named = dict(model.net.named_parameters())
    total = {name: torch.zeros_like(p) for name, p in named.items()}
    parts = torch.arange(len(images)).split(batch_size)
    with evaluating(model), torch.enable_grad():
        for step, batch in enumerate(parts):
            logits = model(images.images[batch].to(device)).float()
            chances = logits.detach().softmax(dim=1).mean(dim=0)
            for y in range(logits.shape[1]):
                loss = functional.cross_entropy(logits, torch.full((len(batch),), y, device=device))
                gradients = torch.autograd.grad(loss, list(named.values()), retain_graph=True)
                for name, g in zip(named, gradients, strict=True):
                    total[name].addcmul_(g, g, value=float(chances[y]))
            report(Progress("Fisher information", step + 1, len(parts)))
    return {name: f / len(parts) for name, f in total.items()}


def noise_variance(fisher: Tensor, alpha: float, in_head: bool, keep: Tensor | None = None) -> Tensor:
    """The variance of the noise on one tensor of parameters.

    Args:
        fisher: Its part of the diagonal, of the parameters' shape.
        alpha: Scale.
        in_head: Whether it belongs to the layer that gives the logits.
        keep: The weights that a sparse model has kept; None for all.
    """
    variance = alpha * (1 / (fisher + 1e-8)).clamp(max=HEAD_CAP if in_head else CAP)
    if variance.ndim > 1:
        weight = torch.ones_like(variance) if keep is None else keep.to(variance)
        mean = (variance * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1)
        variance = mean.expand_as(variance).clone()
    return variance * (RAISED if in_head or variance.ndim == 1 else 1.0)


def _classes_to_reset(params: FisherParams, task: Task) -> tuple[int, ...]:
    if params.class_reset == "yes" and not task.split.forget_classes:
        raise UnlearnError(
            "class_reset = yes draws the output rows of whole classes anew, but a random share is to be forgotten; "
            "choose class_reset = auto or no."
        )
    return task.split.forget_classes if params.class_reset != "no" else ()
