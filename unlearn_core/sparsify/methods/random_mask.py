"""Random weights: settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.models.recipe import FROM_SCRATCH
from unlearn_core.sparsify.effort import no_effort
from unlearn_core.sparsify.recipes import SparseRecipe
from unlearn_core.sparsify.sparsifier import Sparsifier


@dataclass(frozen=True)
class RandomParams(SparseRecipe):
    """How sparse, and how to train."""


SPARSIFIER = Sparsifier(
    name="random",
    label="Random weights",
    short="random",
    about="Removes weights drawn at random and trains the rest: the control for the others.",
    paper="Jia et al., Model Sparsity Can Simplify Machine Unlearning, NeurIPS 2023",
    link="https://arxiv.org/abs/2304.04934",
    params=RandomParams,
    effort=no_effort,
    sees_data=False,
    code="unlearn_core.sparsify.random_mask:find",
    published=FROM_SCRATCH,
)
