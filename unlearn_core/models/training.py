"""Training: one loop for training from scratch, fine-tuning and every method that takes gradient steps."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional

from unlearn_core.data.sets import ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.models.inference import arithmetic, choose_dtype, device_of, layout_for
from unlearn_core.models.recipe import AUGMENTATIONS, SCHEDULES, Recipe, Stretch
from unlearn_core.progress import Progress, Report, silent

MILESTONES = (91 / 182, 136 / 182)
"""Shares of all steps after which `multistep` takes a tenth of the rate: published as epochs 91 and 136 of 182."""

# Probabilities of exp(-10,000) come from weights that have blown up, long before the first number overflows.
DIVERGED = 1e4

Loss = Callable[[nn.Module, UInt8[Tensor, "n 3 H W"], Int64[Tensor, " n"]], Tensor]
"""A batch's loss, to be minimised: images uint8, labels."""


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass over images inside an epoch.

    Attributes:
        images: N images, in a new random order each time.
        loss: What a step minimises.
        batch_size: Images in a step; 0 takes the recipe's.
        after_step: Called after each step of this pass, with the learning rate that it had.
        most: A loss beyond this has diverged.
    """

    images: ImageSet
    loss: Loss
    batch_size: int = 0
    after_step: Callable[[float], None] = lambda rate: None
    most: float = DIVERGED


def cross_entropy(model: nn.Module, images: UInt8[Tensor, "n 3 H W"], labels: Int64[Tensor, " n"]) -> Tensor:
    """Mean cross-entropy of a batch."""
    loss: Tensor = functional.cross_entropy(model(images).float(), labels)
    return loss


def fit(
    model: nn.Module,
    images: ImageSet,
    recipe: Recipe,
    *,
    seed: int,
    report: Report = silent,
    loss: Loss = cross_entropy,
    after_step: Callable[[], None] = lambda: None,
    after_epoch: Callable[[int], Mapping[str, Any]] = lambda epoch: {},
) -> None:
    """Trains the model in place with SGD, Nesterov momentum and a schedule over all steps: one pass an epoch.

    Order and augmentation come from a CPU generator of the seed: repeated on the same CPU with the same number of
    threads, the weights are the same bit for bit.

    Args:
        model: Trained in place, in training mode; its modes are restored.
        images: N images; each is augmented on its own, anew in every epoch.
        recipe: Epochs, rate and the rest.
        seed: Of order and augmentation.
        report: Told of every batch, with loss, epoch and what `after_epoch` gave last.
        loss: What a step minimises.
        after_step: Called after every step, for instance to keep pruned weights at zero.
        after_epoch: Called with the number of finished epochs; what it returns is reported.

    Raises:
        UnlearnError: There are no images, or the loss is no longer finite or has blown up.
    """
    _require_images(images)
    fit_passes(
        model,
        [[Pass(images, loss)]] * recipe.epochs,
        recipe,
        seed=seed,
        report=report,
        after_step=after_step,
        after_epoch=after_epoch,
    )


def fit_passes(
    model: nn.Module,
    epochs: Sequence[Sequence[Pass]],
    recipe: Recipe,
    *,
    seed: int,
    report: Report = silent,
    after_step: Callable[[], None] = lambda: None,
    after_epoch: Callable[[int], Mapping[str, Any]] = lambda epoch: {},
    optimizer: str = "sgd",
) -> None:
    """Trains as `fit` does, with one or several passes in each epoch; their number takes the place of `recipe.epochs`.

    Args:
        model: Trained in place, in training mode; its modes are restored.
        epochs: The passes of each epoch, one after the other.
        recipe: Rate, batch size and the rest.
        seed: Of order and augmentation.
        report: Told of every batch.
        after_step: Called after every step, behind the pass's own.
        after_epoch: Called with the number of finished epochs; what it returns is reported.
        optimizer: A name in `OPTIMIZERS`.

    Raises:
        UnlearnError: A pass has no images, or the loss is no longer finite or has blown up.
    """
    device = device_of(model)
    dtype = choose_dtype(device, recipe.precision)
    model.to(memory_format=layout_for(model))
    descent = OPTIMIZERS[optimizer]([p for p in model.parameters() if p.requires_grad], recipe)
    total = sum(_steps(p, recipe) for passes in epochs for p in passes)
    schedule = torch.optim.lr_scheduler.LambdaLR(descent, _rate_factor(recipe, max(1, total)))
    pixels = _uploaded(epochs, device)
    generator = torch.Generator().manual_seed(seed)
    modes = {module: module.training for module in model.modules()}
    metrics: dict[str, Any] = {}
    done = end = 0
    try:
        for epoch, passes in enumerate(epochs):
            _train_mode(model, recipe)
            end += sum(_steps(p, recipe) for p in passes)
            for part in passes:
                images = ImageSet(pixels[id(part.images.images)], part.images.labels, part.images.indices)
                for batch, labels in batches(
                    images, part.batch_size or recipe.batch_size, recipe.augment, generator
                ):
                    descent.zero_grad(set_to_none=True)
                    with arithmetic(device, dtype):
                        value = part.loss(model, batch, labels)
                    value.backward()
                    rate = float(schedule.get_last_lr()[0])
                    descent.step()
                    schedule.step()
                    part.after_step(rate)
                    after_step()
                    _require_bounded(value, epoch, recipe, part.most)
                    done += 1
                    metrics = {**metrics, "loss": value.item(), "lr": schedule.get_last_lr()[0]}
                    if done < end:
                        report(Progress("fine-tuning", done, total, metrics))
            metrics = {**metrics, **after_epoch(epoch + 1), "epoch": epoch + 1}
            report(Progress("fine-tuning", done, total, metrics))
    finally:
        for module, mode in modes.items():
            module.training = mode


def batches(
    images: ImageSet, batch_size: int, kind: str, generator: torch.Generator
) -> Iterator[tuple[UInt8[Tensor, "n 3 H W"], Int64[Tensor, " n"]]]:
    """One pass in random order: augmented images with their labels, where the images lie."""
    device = images.images.device
    labels = images.labels.to(device)
    order = torch.randperm(len(images), generator=generator)
    for positions in order.split(batch_sizes(len(images), batch_size)):
        positions = positions.to(device)
        batch = augment(images.images[positions], kind, generator)
        yield batch.contiguous(), labels[positions]


def batch_sizes(count: int, size: int) -> list[int]:
    """Images in each step of one pass over `count` of them.

    A single image left over joins the batch before: alone it has no statistics that batch norms could normalise it by.
    """
    full, left = divmod(count, size)
    if left == 1 and full:
        return [size] * (full - 1) + [size + 1]
    return [size] * full + [left] * (left > 0)


def augment(
    images: UInt8[Tensor, "n 3 H W"], kind: str, generator: torch.Generator
) -> UInt8[Tensor, "n 3 H W"]:
    """Each image shifted on its own by up to an eighth of its side (4 of 32 pixels, black beyond the edge), and mirrored.

    Raises:
        UnlearnError: An unknown kind.
    """
    if kind not in AUGMENTATIONS:
        raise UnlearnError(f"Unknown augmentation {kind!r}; choose one of: {', '.join(AUGMENTATIONS)}.")
    if kind == "none":
        return images
    images = _shifted(images, generator)
    if kind == "crop_flip":
        mirrored = torch.rand(len(images), generator=generator).to(images.device) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    return images


def _shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    n, channels, height, width = images.shape
    pad = max(1, height // 8)
    padded = functional.pad(images, (pad, pad, pad, pad))
    top, left = (torch.randint(0, 2 * pad + 1, (n,), generator=generator).to(images.device) for _ in range(2))
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.arange(width, device=images.device)
    index = torch.arange(n, device=images.device)
    shifted = padded.permute(0, 2, 3, 1)[index[:, None, None], rows[:, :, None], columns[:, None, :]]
    return shifted.permute(0, 3, 1, 2)


def _rate_factor(recipe: Recipe, total: int) -> Callable[[int], float]:
    """The factor on the learning rate at each of these `total` steps, which may be a stretch of a longer training."""
    if not isinstance(recipe, Stretch):
        return _schedule(recipe, total)
    steps = total // max(1, recipe.epochs)
    factor = _schedule(recipe, max(1, steps * recipe.in_all))
    return lambda step: factor(steps * recipe.before + step)


def _schedule(recipe: Recipe, total: int) -> Callable[[int], float]:
    """The factor on the learning rate at each of `total` steps.

    Raises:
        UnlearnError: An unknown schedule.
    """
    if recipe.schedule not in SCHEDULES:
        raise UnlearnError(f"Unknown schedule {recipe.schedule!r}; choose one of: {', '.join(SCHEDULES)}.")
    if recipe.schedule == "constant":
        return lambda step: 1.0
    if recipe.schedule == "one_cycle":
        rise = max(1, round(0.2 * total))
        return lambda step: min((step + 1) / rise, max(0.0, (total - step) / max(1, total - rise)))
    if recipe.schedule == "multistep":
        # To the nearest step: a milestone is a fraction that floating point hits only by chance.
        return lambda step: 0.1 ** sum(step >= round(share * total) for share in MILESTONES)
    return lambda step: 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / total)).item())


def _require_images(images: ImageSet) -> None:
    if not len(images):
        raise UnlearnError("There are no images to train on; forget fewer classes or a smaller share.")


def _steps(part: Pass, recipe: Recipe) -> int:
    _require_images(part.images)
    return len(batch_sizes(len(part.images), part.batch_size or recipe.batch_size))


def _uploaded(epochs: Sequence[Sequence[Pass]], device: torch.device) -> dict[int, Tensor]:
    """Each tensor of images once on the device, by its identity: passes share them and differ in labels."""
    there = {id(p.images.images): p.images.images for passes in epochs for p in passes}
    return {key: images.to(device) for key, images in there.items()}


def _train_mode(model: nn.Module, recipe: Recipe) -> None:
    model.train()
    if recipe.freeze_bn:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def _require_bounded(value: Tensor, epoch: int, recipe: Recipe, most: float) -> None:
    if not torch.isfinite(value):
        what = "is no longer a finite number"
    elif abs(value.item()) > most:
        what = f"has grown to {value.item():.3g}"
    else:
        return
    raise UnlearnError(
        f"The loss {what} in epoch {epoch + 1}; "
        f"the learning rate {recipe.lr:g} is too high for this model. Lower it and run again."
    )


def _sgd(parameters: list[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        weight_decay=recipe.weight_decay,
    )


def _adam(parameters: list[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay)


OPTIMIZERS: Mapping[str, Callable[[list[nn.Parameter], Recipe], torch.optim.Optimizer]] = {
    "sgd": _sgd,
    "adam": _adam,
}
