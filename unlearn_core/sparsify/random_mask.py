"""Random weights removed: the control that says what a sparsifier's choice is worth."""

from dataclasses import dataclass

import torch

from unlearn_core.models.recipe import FROM_SCRATCH
from unlearn_core.sparsify.mask import conv_weights
from unlearn_core.sparsify.omp import largest
from unlearn_core.sparsify.sparsifier import Found, SparseRecipe, SparseTask, Sparsifier, copied


@dataclass(frozen=True)
class RandomParams(SparseRecipe):
    """How sparse, and how to train."""


def find(params: RandomParams, task: SparseTask) -> Found:
    """A mask drawn uniformly over all layers together; training begins with new weights."""
    generator = torch.Generator().manual_seed(task.seed)
    draws = {
        name: torch.rand(w.shape, generator=generator, dtype=torch.float64)
        for name, w in conv_weights(task.model.net).items()
    }
    return Found(largest(draws, params.sparsity), copied(task.fresh(task.seed)))


SPARSIFIER = Sparsifier(
    name="random",
    label="Random weights",
    about="Removes weights drawn at random and trains the rest: the control for the others.",
    paper="Jia et al., Model Sparsity Can Simplify Machine Unlearning, NeurIPS 2023",
    link="https://arxiv.org/abs/2304.04934",
    params=RandomParams,
    find=find,
    sees_data=False,
    published=FROM_SCRATCH,
)
