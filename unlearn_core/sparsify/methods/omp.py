"""One-shot magnitude pruning (OMP): settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.models.recipe import FROM_SCRATCH
from unlearn_core.sparsify.recipes import RewindRecipe, rewound
from unlearn_core.sparsify.sparsifier import Sparsifier


@dataclass(frozen=True)
class OmpParams(RewindRecipe):
    """As published, but for the rewound epoch's place in a shorter recipe."""


SPARSIFIER = Sparsifier(
    name="omp",
    label="One-shot magnitude pruning (OMP)",
    short="OMP",
    about="Removes the smallest weights of a trained model at once and trains the rest again from early weights.",
    paper="Jia et al., Model Sparsity Can Simplify Machine Unlearning, NeurIPS 2023",
    link="https://arxiv.org/abs/2304.04934",
    params=OmpParams,
    effort=rewound,
    sees_data=True,
    published={**FROM_SCRATCH, "rewind_epoch": 8},
)
