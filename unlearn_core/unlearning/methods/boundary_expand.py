"""Boundary Expand: settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.unlearning.method import Family, Method
from unlearn_core.unlearning.methods.boundary_shrink import BoundaryParams
from unlearn_core.unlearning.work import passes_over


@dataclass(frozen=True)
class BoundaryExpandParams(BoundaryParams):
    """Published: 10 epochs at 1e-5, batches of 64."""


METHOD = Method(
    name="boundary_expand",
    label="Boundary Expand",
    short="Boundary Expand",
    family=Family.WRONG_LABELS,
    about="Fine-tunes the forget set into an extra class and then removes that class.",
    paper="Chen et al., Boundary Unlearning, CVPR 2023",
    link="https://arxiv.org/abs/2303.11570",
    params=BoundaryExpandParams,
    work=passes_over(lambda sizes: sizes.forget),
)
