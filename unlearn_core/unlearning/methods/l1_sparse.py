"""l1-sparse: settings, cost and what is said of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from unlearn_core.models.recipe import Recipe
from unlearn_core.params import setting
from unlearn_core.unlearning.method import Family, Method
from unlearn_core.unlearning.work import passes_over

COURSES: Mapping[str, Callable[[float], float]] = {
    "decreasing": lambda passed: 1 - passed,
    "constant": lambda passed: 1.0,
    "increasing": lambda passed: passed,
}
"""The penalty's factor by the share of penalised epochs that have passed."""


@dataclass(frozen=True)
class L1SparseParams(Recipe):
    """Published: 10 epochs at 0.01, γ = 1e-4, linearly decreasing."""

    epochs: int = setting(10, "Passes over the retain set")
    schedule: str = setting("constant")
    gamma: float = setting(
        1e-4,
        "Weight of the penalty; the authors ran 1e-4, others 5e-4",
        label="Weight of the penalty, γ",
        low=0.0,
        high=10.0,
    )
    penalty: str = setting(
        "decreasing",
        "Course of the penalty; the paper's best is decreasing",
        label="Course of the penalty",
        choices=tuple(COURSES),
    )
    free_epochs: int = setting(
        0, "Last epochs without penalty; published: 0", label="Last epochs without penalty", low=0, high=1000
    )
    penalize: str = setting(
        "all",
        "Every parameter (published), or weights without batch norms and biases",
        label="What is penalised",
        choices=("all", "weights"),
    )
    proximal: bool = setting(
        False,
        "Shrink weights to exact zeros after each step instead of by gradients",
        label="Exact zeros (proximal steps)",
    )


METHOD = Method(
    name="l1_sparse",
    label="l1-sparse",
    short="l1-sparse",
    family=Family.SPARSITY_PAPER,
    about="Fine-tunes on the retained images with a penalty that drives weights to zero.",
    paper="Jia et al., Model Sparsity Can Simplify Machine Unlearning, NeurIPS 2023",
    link="https://arxiv.org/abs/2304.04934",
    params=L1SparseParams,
    work=passes_over(lambda sizes: sizes.retain),
    retain_alone=True,
)
