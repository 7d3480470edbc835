"""TF-IDF channel pruning, then fine-tuning on what is kept.

Paper: Wang et al., "Federated Unlearning via Class-Discriminative Pruning", WWW 2022, arXiv 2110.11794.
Deviation: the defaults rank within each layer and cut in the last stage. The released code's setting (one threshold over
all layers) is `scope="global", where="all", tap="conv_relu"`; on the models measured here it wrecks every class.
"""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from unlearn_core.channels.activations import ActivationStats, collect, first_per_class
from unlearn_core.channels.pruning import (
    PruningPlan,
    kept_in_place,
    make_plan,
    merge_plans,
)
from unlearn_core.channels.scoring import channel_scores, require_images
from unlearn_core.channels.surgery import channel_groups, mask_of, remove, silenced
from unlearn_core.data.sets import ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.training import Pass, cross_entropy
from unlearn_core.progress import Progress
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
    scored = scoring_images(task.split.retain, task.split.forget, params.images_per_class)
    example = example_of(model, scored.images)
    plan = plan_for(model, scored, params, task)
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


def scoring_images(retain: ImageSet, forget: ImageSet, per_class: int) -> ImageSet:
    """The first `per_class` training images of each class, retained and to be forgotten."""
    return joined(
        [
            part.select(torch.from_numpy(first_per_class(part.labels.numpy(), per_class)))
            for part in (retain, forget)
        ]
    )


def example_of(model: Classifier, images: Tensor) -> Tensor:
    """A small normalised batch, as the bare network takes it, for tracing and self-tests."""
    return model.prepare(images[:4].to(model.mean.device))


def plan_for(
    model: Classifier,
    scored: ImageSet,
    params: TfidfPruneParams,
    task: Task,
    first: ActivationStats | None = None,
) -> PruningPlan:
    """The plan for all classes to forget: jointly, or one after the other on the network pruned so far (the paper).

    Args:
        model: The unpruned model; as it was after.
        scored: Images to score.
        params: What to prune.
        task: Classes to forget, seed and report.
        first: Statistics of `scored` on the unpruned model, where they were read before (a preview asks many times).
    """
    example = example_of(model, scored.images)

    def stats(pruned: PruningPlan | None) -> ActivationStats:
        if pruned is None and first is not None:
            return first
        with silenced(model.net, pruned, example) if pruned else nullcontext():
            return collect(model, scored, task.split.classes, tap=params.tap, report=task.report)

    return plan_by(stats, model, example, params, task.split.forget_classes, task.seed)


def plan_by(
    stats: Callable[[PruningPlan | None], ActivationStats],
    model: Classifier,
    example: Tensor,
    params: TfidfPruneParams,
    targets: tuple[int, ...],
    seed: int,
) -> PruningPlan:
    """The plan by statistics that come from anywhere: one pass here, or many clients.

    Args:
        stats: Statistics with a plan's channels silenced; with none for the model as it is.
        model: The unpruned model.
        example: A small normalised batch that the bare network takes.
        params: What to prune.
        targets: Indices of the classes to forget.
        seed: For the random direction.
    """
    groups = channel_groups(model.net, example, params.residual)

    def plan_from(
        read: ActivationStats, chosen: tuple[int, ...], gone: PruningPlan | None = None
    ) -> PruningPlan:
        require_images(read, chosen)
        return make_plan(channel_scores(read), groups, chosen, params, seed=seed, gone=gone)

    def finish(plan: PruningPlan) -> PruningPlan:
        return plan if params.cut else kept_in_place(plan)

    unpruned = stats(None)
    if params.combine != "sequential" or len(targets) == 1:
        return finish(plan_from(unpruned, targets))
    plans = [plan_from(unpruned, targets[:1])]
    for target in targets[1:]:
        gone = merge_plans(plans)
        plans.append(plan_from(stats(gone), (target,), gone))
    return finish(merge_plans(plans))


def run_random(model: Classifier, params: TfidfPruneParams, task: Task) -> Outcome:
    """The same with channels drawn at random: the control that says what the scores are worth."""
    return run(model, replace(params, direction="random"), task)
