"""TF-IDF channel pruning, then fine-tuning on what is kept.

Paper: Wang et al., "Federated Unlearning via Class-Discriminative Pruning", WWW 2022, arXiv 2110.11794.
Deviation: the defaults rank within each layer and cut in the last stage. The released code's setting (one threshold over
all layers) is `scope="global", where="all", tap="conv_relu"`; on the models measured here it wrecks every class.
"""

import copy
from contextlib import nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from unlearn_core.channels.activations import ActivationStats, collect, first_per_class
from unlearn_core.channels.pruning import PruningPlan, Statistics, kept_in_place, plan_classes
from unlearn_core.channels.surgery import channel_groups, mask_of, remove, silenced
from unlearn_core.data.sets import ImageSet
from unlearn_core.data.split import ForgetSplit
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.training import Pass, cross_entropy
from unlearn_core.progress import Progress, Report, silent
from unlearn_core.sparsify.mask import SparseMask
from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams
from unlearn_core.unlearning.steps import bn_facts, descend, drawn, joined
from unlearn_core.unlearning.task import Outcome, Task


def run(model: Classifier, params: TfidfPruneParams, task: Task) -> Outcome:
    """Scores, plans, prunes and fine-tunes; the model is shown as "pruned" before the first step."""
    if not task.split.forget_classes:
        raise UnlearnError(
            "TF-IDF pruning forgets whole classes; choose classes, or another method for a random share."
        )
    scored = scoring_images(task.split, params.images_per_class)
    example = example_of(model, scored.images)
    plan = plan_for(model, scored, params, task.split, task.seed, report=task.report)
    silent_rows = mask_of(model.net, plan, example, only_unremovable=True)
    task = replace(task, mask=cut_mask(task.mask, model.net, plan, example) if task.mask else None)
    model = Classifier(remove(model.net, plan, example), model.normalization).to(model.mean.device).eval()
    task.enforce(model)
    task.report(Progress("pruning", 1, 1, task.observe("pruned", model)))
    retain = (
        drawn(task.split.retain, params.tune_images, task.seed) if params.tune_images else task.split.retain
    )
    descend(
        model,
        [[Pass(retain, cross_entropy)]] * params.epochs,
        params,
        task,
        after_step=lambda: silent_rows.enforce(model.net),
    )
    facts = {
        **bn_facts(params),
        "images_scored": len(scored),
        "images_tuned": len(retain),
        "channels_pruned": plan.total,
    }
    return Outcome(model, plan, facts)


@torch.no_grad()
def cut_mask(mask: SparseMask, net: nn.Module, plan: PruningPlan, example: Tensor) -> SparseMask:
    """What a sparse model's mask keeps of the network that a plan leaves: the plan cuts a network of ones and zeros."""
    marked = copy.deepcopy(net)
    for name, keep in mask.keep.items():
        marked.get_parameter(name).copy_(keep)
    left = remove(marked, plan, example, check=False)
    return SparseMask({name: left.get_parameter(name).detach() != 0 for name in mask.keep})


def scoring_images(split: ForgetSplit, per_class: int) -> ImageSet:
    """The first `per_class` training images of each class, in the data set's order whatever is to be forgotten."""
    images = joined(
        [
            part.select(torch.from_numpy(first_per_class(part.labels.numpy(), per_class)))
            for part in (split.retain, split.forget)
        ]
    )
    return images.select(images.indices.argsort())


def example_of(model: Classifier, images: Tensor) -> Tensor:
    """A small normalised batch, as the bare network takes it, for tracing and self-tests."""
    return model.prepare(images[:4].to(model.mean.device))


def plan_for(
    model: Classifier,
    scored: ImageSet,
    params: TfidfPruneParams,
    split: ForgetSplit,
    seed: int,
    *,
    unpruned: ActivationStats | None = None,
    report: Report = silent,
) -> PruningPlan:
    """The plan that a run carries out.

    Args:
        model: The unpruned model; as it was after.
        scored: Images to score.
        params: What to prune.
        split: With the classes to forget.
        seed: For the random direction.
        unpruned: Statistics of `scored` on the unpruned model, where they were read before (a preview asks many times).
        report: Told of every batch.
    """
    example = example_of(model, scored.images)

    def statistics(gone: PruningPlan | None) -> ActivationStats:
        if gone is None and unpruned is not None:
            return unpruned
        with silenced(model.net, gone, example) if gone else nullcontext():
            return collect(model, scored, split.classes, tap=params.tap, report=report)

    return plan_by(statistics, model, example, params, split.forget_classes, seed)


def plan_by(
    statistics: Statistics,
    model: Classifier,
    example: Tensor,
    params: TfidfPruneParams,
    targets: tuple[int, ...],
    seed: int,
) -> PruningPlan:
    """The plan by statistics that come from anywhere: one pass here, or many clients.

    Args:
        statistics: With a plan's channels silenced; with none for the model as it is.
        model: The unpruned model.
        example: A small normalised batch that the bare network takes.
        params: What to prune.
        targets: Indices of the classes to forget.
        seed: For the random direction.
    """
    groups = channel_groups(model.net, example, params.residual)
    plan = plan_classes(statistics, groups, params, targets, seed)
    return plan if params.cut else kept_in_place(plan)


def run_random(model: Classifier, params: TfidfPruneParams, task: Task) -> Outcome:
    """The same with channels drawn at random: the control that says what the scores are worth."""
    return run(model, replace(params, direction="random"), task)
