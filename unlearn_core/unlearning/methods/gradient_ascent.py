"""Gradient ascent (GA): settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.models.recipe import Recipe
from unlearn_core.params import setting
from unlearn_core.unlearning.method import Family, Method
from unlearn_core.unlearning.work import passes_over


@dataclass(frozen=True)
class GradientAscentParams(Recipe):
    """Published: 5 epochs at a constant rate; 1e-3 is what the authors' runner used, 1e-4 what their README says."""

    epochs: int = setting(5, "Passes over the forget set")
    lr: float = setting(1e-3, "Learning rate of the ascent; the authors ran 1e-3, their README says 1e-4")
    schedule: str = setting("constant")


METHOD = Method(
    name="gradient_ascent",
    label="Gradient ascent (GA)",
    short="Gradient ascent",
    family=Family.SPARSITY_PAPER,
    about="Takes steps that raise the loss on the forget set; quick, and easily too much.",
    paper="Jia et al., Model Sparsity Can Simplify Machine Unlearning, NeurIPS 2023",
    link="https://arxiv.org/abs/2304.04934",
    params=GradientAscentParams,
    work=passes_over(lambda sizes: sizes.forget),
)
