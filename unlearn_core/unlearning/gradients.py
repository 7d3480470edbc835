"""Gradients of the cross-entropy as one vector over all parameters, in evaluation mode and float32."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from unlearn_core.data.sets import ImageSet
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import device_of, evaluating
from unlearn_core.progress import Progress, Report
from unlearn_core.unlearning.task import Task

# Images whose gradients are computed together; the grouped convolutions behind `vmap` gain nothing from more.
TOGETHER = 32


def unmasked(model: Classifier, task: Task) -> Bool[Tensor, " d"]:
    """Which of the d parameters a sparse model has kept; all of them on a dense one."""
    keep = task.mask.keep if task.mask else {}
    device = device_of(model)
    marks = [
        keep[name].to(device) if name in keep else torch.ones_like(p, dtype=torch.bool)
        for name, p in model.net.named_parameters()
    ]
    return torch.cat([m.reshape(-1) for m in marks])


def flat(model: Classifier) -> Float[Tensor, " d"]:
    """A copy of all parameters as one vector."""
    return torch.cat([p.detach().reshape(-1) for p in model.net.parameters()])


@torch.no_grad()
def set_flat(model: Classifier, values: Float[Tensor, " d"]) -> None:
    """Writes a vector back into the parameters, in place."""
    start = 0
    for p in model.net.parameters():
        p.copy_(values[start : start + p.numel()].view(p.shape))
        start += p.numel()


def weighted_gradient(
    model: Classifier,
    images: ImageSet,
    weights: Float[Tensor, " n"],
    *,
    batch_size: int,
    report: Report,
    stage: str,
) -> Float[Tensor, " d"]:
    """The gradient of the cross-entropies of n images, each times its weight, summed."""
    device = device_of(model)
    parameters = list(model.net.parameters())
    total = torch.zeros(sum(p.numel() for p in parameters), device=device)
    parts = torch.arange(len(images)).split(batch_size)
    with evaluating(model), torch.enable_grad():
        for step, batch in enumerate(parts):
            logits = model(images.images[batch].to(device)).float()
            losses = functional.cross_entropy(logits, images.labels[batch].to(device), reduction="none")
            gradients = torch.autograd.grad((losses * weights[batch].to(device)).sum(), parameters)
            total += torch.cat([g.reshape(-1) for g in gradients])
            report(Progress(stage, step + 1, len(parts)))
    return total


def per_image_gradients(model: Classifier, images: ImageSet) -> Float[Tensor, "n d"]:
    """Each image's own gradient of its cross-entropy."""
    device = device_of(model)
    parameters = {name: p.detach() for name, p in model.net.named_parameters()}
    rows = torch.empty(len(images), sum(p.numel() for p in parameters.values()), device=device)

    def loss(parameters: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model.net, parameters, (image[None],))
        return functional.cross_entropy(logits.float(), label[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))
    with evaluating(model):
        for batch in torch.arange(len(images)).split(TOGETHER):
            prepared = model.prepare(images.images[batch].to(device))
            gradients = each(parameters, prepared, images.labels[batch].to(device))
            rows[batch.to(device)] = torch.cat([g.flatten(1) for g in gradients.values()], dim=1)
    return rows
