"""Boundary Shrink: each image to forget moves into the class whose boundary is nearest.

    x' = clip(x + 0.1 sign ∇_x ℓ(x, y)),   y' = argmax f_o(x'),   then fine-tuning on (x, y') over D_f alone.

Paper: Chen et al., "Boundary Unlearning", CVPR 2023, arXiv 2303.11570, section 4.1. Deviations: where the step
crosses no boundary, y' is y and training would strengthen what is to be forgotten, so the image gets the runner-up
class or is left out; the nearest class is found once on the plain images (the code finds it anew for each augmented
batch). The paper forgets whole classes; a random share works alike, as in the tables of SalUn (arXiv 2310.12508).
"""

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import device_of, evaluating
from unlearn_core.models.training import Pass, cross_entropy
from unlearn_core.progress import Progress
from unlearn_core.unlearning.methods.boundary_shrink import BoundaryShrinkParams
from unlearn_core.unlearning.steps import bn_facts, descend, relabelled
from unlearn_core.unlearning.task import Outcome, Task


def run(model: Classifier, params: BoundaryShrinkParams, task: Task) -> Outcome:
    """Fine-tunes in place on the forget set under the nearest other classes."""
    forget = task.split.forget
    nearest, crossed = nearest_classes(model, params, task)
    shifted = relabelled(forget, nearest)
    if params.uncrossed == "exclude":
        shifted = shifted.select(crossed)
        if not len(shifted):
            raise UnlearnError(
                f"No image crosses a boundary within a bound of {params.bound:g}; raise bound or take uncrossed = runner_up."
            )
    descend(model, [[Pass(shifted, cross_entropy)]] * params.epochs, params, task)
    return Outcome(model, facts={**bn_facts(params), "crossed": int(crossed.sum()), "images": len(shifted)})


def nearest_classes(
    model: Classifier, params: BoundaryShrinkParams, task: Task
) -> tuple[Int64[Tensor, " n"], Tensor]:
    """For each image to forget a class other than its own, and whether moved pixels lead there."""
    forget, device = task.split.forget, device_of(model)
    parts = torch.arange(len(forget)).split(params.batch_size)
    classes, crossings = [], []
    with evaluating(model):
        for step, batch in enumerate(parts):
            labels = forget.labels[batch].to(device)
            logits = model(moved(model, forget.images[batch].to(device), labels, params.bound)).detach()
            crossings.append((logits.argmax(dim=1) != labels).cpu())
            # With the own class out of the race the winner is the class crossed into, or else the runner-up.
            classes.append(logits.scatter(1, labels[:, None], -torch.inf).argmax(dim=1).cpu())
            task.report(Progress("nearest classes", step + 1, len(parts)))
    return torch.cat(classes), torch.cat(crossings)


def moved(
    model: Classifier, images: UInt8[Tensor, "n 3 H W"], labels: Int64[Tensor, " n"], bound: float
) -> Float[Tensor, "n 3 H W"]:
    """The images in [0, 1], every pixel moved by the bound in the direction that raises the loss (FGSM)."""
    with torch.enable_grad():
        pixels = (images.float() / 255).requires_grad_()
        loss = functional.cross_entropy(model(pixels), labels, reduction="sum")
        (slope,) = torch.autograd.grad(loss, pixels)
    return (pixels.detach() + bound * slope.sign()).clamp(0, 1)
