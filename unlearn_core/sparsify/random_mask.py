"""Random weights removed: the control that says what a sparsifier's choice is worth."""

import torch

from unlearn_core.sparsify.mask import conv_weights
from unlearn_core.sparsify.methods.random_mask import RandomParams
from unlearn_core.sparsify.omp import largest
from unlearn_core.sparsify.task import Found, SparseTask, copied


def find(params: RandomParams, task: SparseTask) -> Found:
    """A mask drawn uniformly over all layers together; training begins with new weights."""
    generator = torch.Generator().manual_seed(task.seed)
    draws = {
        name: torch.rand(w.shape, generator=generator, dtype=torch.float64)
        for name, w in conv_weights(task.model.net).items()
    }
    return Found(largest(draws, params.sparsity), copied(task.fresh(task.seed)))
