"""Proposition 2: what bounds the error of gradient ascent, measured over sparsity beside that error.

python -m benchmarks.proposition [--model bundled:digits-vgg11] [--data digits] [--fraction 0.1] [--seeds 3] [--epochs 8]

In the proposition's own setting: plain SGD at a constant rate, without momentum, weight decay or augmentation, so that t
steps of rate η lead from θ_0 to θ_t. The mask is by magnitude (OMP) of a dense model trained so, and training begins again
from its initial weights. The retrained model takes the same batches in the same order without the forget set. The error is
the distance of the weights after ascent to the retrained ones, over the weights kept.

Two ascents: the one that the proposition is about adds back the forget set's steps with gradients at θ_0 (Thudi et al.);
the other is the method `gradient_ascent` with its defaults. What departs from the proposition: a batch norm stands in the
network (in the ascent it sees the forget set's own batches); the Hessian is that of θ_t alone, over 256 training
images, in evaluation mode.
"""

import argparse
import copy
import datetime
from dataclasses import asdict

import torch
from torch.nn import functional

from benchmarks.record import command_of, machine, print_table
from unlearn_core.checkpoints.model_files import fresh_like, open_model
from unlearn_core.data.classes import align_classes
from unlearn_core.data.sets import ImageSet
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.experiments.proposition import CURVE, Point
from unlearn_core.experiments.study import Study, write_study
from unlearn_core.models.inference import choose_device
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.training import batches, fit
from unlearn_core.params import build
from unlearn_core.progress import silent
from unlearn_core.results import evaluation
from unlearn_core.sparsify.mask import conv_weights
from unlearn_core.sparsify.omp import largest
from unlearn_core.unlearning.curvature import bound, distance, largest_curvature
from unlearn_core.unlearning.gradients import flat, set_flat, unmasked
from unlearn_core.unlearning.registry import find_method
from unlearn_core.unlearning.task import Task

HESSIAN_IMAGES = 256


def without_forgotten(model, images, labels):
    """The loss of a batch's share that stays, over the whole batch's size; forgotten images carry the label -1."""
    stays = labels >= 0
    if not stays.any():
        return sum(p.sum() for p in model.parameters()) * 0
    return functional.cross_entropy(model(images[stays]), labels[stays], reduction="sum") / len(labels)


def trained(args, start, images, mask, seed):
    """A copy of the start under the mask, trained by plain SGD."""
    model = copy.deepcopy(start)
    restore = (lambda: mask.enforce(model.net)) if mask else (lambda: None)
    restore()
    fit(model, images, args.recipe, seed=seed, loss=without_forgotten, after_step=restore)
    return model.eval()


def added_back(args, start, end, forget, task):
    """The proposition's ascent: every step that the forget set took part in, back from the end with gradients at the start."""
    model = copy.deepcopy(start).train()
    parameters = list(model.net.parameters())
    total = torch.zeros_like(flat(start))
    parts = batches(forget, args.recipe.batch_size, "none", torch.Generator().manual_seed(task.seed))
    for images, labels in parts:
        loss = functional.cross_entropy(model(images), labels, reduction="sum") / args.recipe.batch_size
        total += torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, parameters)])
    model = copy.deepcopy(end)
    set_flat(model, flat(end) + args.recipe.lr * args.recipe.epochs * total * unmasked(end, task))
    return model


def measured(args, loaded, split, dense_end, start, sparsity, seed):
    """The point at one sparsity, and the trained model."""
    mask = None
    if sparsity:
        mask = largest({n: w.detach().abs() for n, w in conv_weights(dense_end.net).items()}, sparsity)
    task = Task(split, seed, silent, lambda rung, model: {}, lambda s: fresh_like(loaded, s), mask)
    begin = copy.deepcopy(start)
    task.enforce(begin)
    whole = args.dataset.train
    gone = torch.isin(whole.indices, split.forget.indices)
    marked = ImageSet(whole.images, torch.where(gone, -1, whole.labels), whole.indices)
    end = trained(args, begin, whole, mask, seed)
    retrained = trained(args, begin, marked, mask, seed)
    method = find_method("gradient_ascent")
    # Frozen statistics: else its weights would be compared under another normalisation.
    ascended = method.run(
        copy.deepcopy(end), build(method.params, {"augment": "none", "freeze_bn": True}), task
    ).model
    back = added_back(args, begin, end, split.forget, task)
    few = whole.select(
        torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))[:HESSIAN_IMAGES]
    )
    keep = unmasked(end, task)
    moved = distance(flat(end) * keep, flat(begin) * keep)
    sigma = largest_curvature(end, few, task)
    steps = args.recipe.epochs * -(-len(whole) // args.recipe.batch_size)
    errors = {
        name: distance(flat(model) * keep, flat(retrained) * keep)
        for name, model in (("single", back), ("ascent", ascended), ("untouched", end))
    }
    accuracy = evaluation.predictions(end, split.test).tally()
    value = bound(args.recipe.lr, steps, moved, sigma)
    found = accuracy.correct / accuracy.total
    return Point(sparsity, seed, args.recipe.lr, steps, moved, sigma, value, **errors, accuracy=found), end


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:digits-vgg11")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--forget", default="")
    parser.add_argument("--fraction", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--sparsities", default="0,0.5,0.9,0.95,0.99")
    parser.add_argument("--name", default="")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.recipe = build(
        Recipe,
        {
            "epochs": args.epochs,
            "lr": args.lr,
            "momentum": 0,
            "weight_decay": 0,
            "schedule": "constant",
            "augment": "none",
            "precision": "float32",
        },
    )
    dataset = open_dataset(parse_dataset(args.data), silent)
    loaded = open_model(args.model, dataset, device=choose_device("cpu"))
    args.dataset = align_classes(dataset, loaded.card.classes)
    classes = tuple(filter(None, args.forget.split(",")))
    fraction = 0.0 if classes else args.fraction
    split = split_dataset(args.dataset, ForgetSpec(classes, fraction))
    points = []
    for seed in range(args.seeds):
        start, dense = fresh_like(loaded, seed), None
        for sparsity in sorted(map(float, args.sparsities.split(","))):
            point, end = measured(args, loaded, split, dense, start, sparsity, seed)
            dense = dense or end
            points.append(point)
            print_table([{k: f"{v:.4g}" for k, v in asdict(point).items()}], header=len(points) == 1)
        keep(args, loaded, classes, fraction, points, seed + 1)


def keep(args, loaded, classes, fraction, points, seeds):
    """Writes what there is so far, after every seed."""
    name = args.name or f"{loaded.card.name}-proposition-2"
    what = f"forgetting {', '.join(classes)}" if classes else f"forgetting a random {fraction:.0%}"
    many = f"{seeds} seed{'s' * (seeds > 1)}"
    about = f"{loaded.card.name}: the error of gradient ascent and its bound over sparsity, {what}, {many}."
    command = command_of("proposition", args, args.dataset.spec.name)
    curve = {
        "model": loaded.card.name,
        "base": loaded.digest,
        "classes": list(classes),
        "fraction": fraction,
        "recipe": asdict(args.recipe),
        "points": [asdict(p) for p in points],
    }
    study = Study(name, about, command, datetime.date.today().isoformat(), machine(), [], {CURVE: curve})
    print(write_study(study))


if __name__ == "__main__":
    main()
