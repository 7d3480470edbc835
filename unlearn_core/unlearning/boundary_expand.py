"""Boundary Expand: the forget set moves into a shadow class, which is then taken away.

The last layer gets one more output beside the old ones; fine-tuning on D_f alone teaches the images that new class K;
its row is then deleted, and the model has K outputs as before.

Paper: Chen et al., "Boundary Unlearning", CVPR 2023, arXiv 2303.11570, section 4.2. The authors delete the row; the
port in SalUn's code leaves it, so that every answer "shadow class" counts as forgotten. The paper forgets whole
classes; a random share works alike, as in the tables of SalUn (arXiv 2310.12508).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from unlearn_core.models.classifier import Classifier
from unlearn_core.models.training import Pass, cross_entropy
from unlearn_core.unlearning.methods.boundary_expand import BoundaryExpandParams
from unlearn_core.unlearning.steps import bn_facts, descend, head_of, relabelled
from unlearn_core.unlearning.task import Outcome, Task


def run(model: Classifier, params: BoundaryExpandParams, task: Task) -> Outcome:
    """Fine-tunes in place with one more output, and takes it away."""
    forget, head = task.split.forget, head_of(model)
    shadow = relabelled(forget, torch.full((len(forget),), head.out_features))
    wide = widened(head, task.seed)

    @torch.no_grad()
    def take_away() -> None:
        head.weight.copy_(wide.weight[:-1])
        head.bias.copy_(wide.bias[:-1])
        replace_layer(model.net, wide, head)

    def observe(rung: str, student: Classifier) -> Mapping[str, Any]:
        """Looks at what would be left: an answer "shadow class" is none of the model's classes."""
        take_away()
        try:
            return task.observe(rung, student)
        finally:
            replace_layer(model.net, head, wide)

    replace_layer(model.net, head, wide)
    try:
        descend(
            model,
            [[Pass(shadow, cross_entropy)]] * params.epochs,
            params,
            replace(task, observe=observe),
        )
    finally:
        take_away()
    return Outcome(model, facts=bn_facts(params))


@torch.no_grad()
def widened(head: nn.Linear, seed: int) -> nn.Linear:
    """The layer with one more output, drawn as PyTorch draws a new linear layer's."""
    wide = nn.Linear(head.in_features, head.out_features + 1, device="meta").to_empty(
        device=head.weight.device
    )
    bound = head.in_features**-0.5
    row = torch.rand(head.in_features + 1, generator=torch.Generator().manual_seed(seed)) * 2 * bound - bound
    wide.weight.copy_(torch.cat([head.weight, row[None, :-1].to(head.weight)]))
    wide.bias.copy_(torch.cat([head.bias, row[-1:].to(head.weight)]))
    return wide


def replace_layer(net: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Puts another layer in a layer's place."""
    for parent in net.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)
                return
