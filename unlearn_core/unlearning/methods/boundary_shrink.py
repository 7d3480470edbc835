"""Boundary Shrink: settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.models.recipe import Recipe
from unlearn_core.params import setting
from unlearn_core.unlearning.method import Family, Method
from unlearn_core.unlearning.work import FORWARD, Sizes, Work, exact_stint, stint


@dataclass(frozen=True)
class BoundaryParams(Recipe):
    """Published: 10 epochs at 1e-5 (for a half-width AllCNN), batches of 64, no weight decay."""

    epochs: int = setting(10, "Passes over the forget set")
    lr: float = setting(1e-5, "Learning rate; published for a small AllCNN: 1e-5, to be tuned for others")
    batch_size: int = setting(64)
    weight_decay: float = setting(0.0, "L2 penalty on all weights; published: none")
    schedule: str = setting("constant")


@dataclass(frozen=True)
class BoundaryShrinkParams(BoundaryParams):
    """Published: a bound of 0.1 on pixels in [0, 1]."""

    bound: float = setting(
        0.1,
        "How far a pixel in [0, 1] is moved to cross the boundary; published: 0.1",
        label="How far pixels move",
        low=0.0,
        high=1.0,
    )
    uncrossed: str = setting(
        "runner_up",
        "Images that cross no boundary get the runner-up class, or are left out",
        label="Images that cross no boundary",
        choices=("runner_up", "exclude"),
    )


def work(params: BoundaryShrinkParams, sizes: Sizes) -> Work:
    """Every image to forget is moved and answered once, then trained on."""
    moved = exact_stint(sizes.forget, params, 1 + FORWARD)
    return Work((moved, stint(params.epochs * sizes.forget, params)), params.epochs)


METHOD = Method(
    name="boundary_shrink",
    label="Boundary Shrink",
    short="Boundary Shrink",
    family=Family.WRONG_LABELS,
    about="Fine-tunes the forget set into the classes across the nearest boundary.",
    paper="Chen et al., Boundary Unlearning, CVPR 2023",
    link="https://arxiv.org/abs/2303.11570",
    params=BoundaryShrinkParams,
    work=work,
)
