"""Random labels (RL): settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.models.recipe import Recipe
from unlearn_core.params import setting
from unlearn_core.unlearning.method import Family, Method
from unlearn_core.unlearning.work import passes_over


@dataclass(frozen=True)
class RandomLabelParams(Recipe):
    """Published: 10 epochs at 0.01, labels drawn anew in each, forget set first."""

    epochs: int = setting(10, "Passes over forget set and retain set")
    schedule: str = setting("constant")
    exclude_true: bool = setting(
        True, "Never draw an image's own class (the paper; its code may)", label="Never draw the true class"
    )
    order: str = setting(
        "sequential",
        "Forget set before retain set, or both shuffled together",
        label="Order of the two sets",
        choices=("sequential", "mixed"),
    )
    relabel: str = setting(
        "per_epoch",
        "Draw labels anew in every epoch (published), or once",
        label="Draw labels",
        choices=("per_epoch", "once"),
    )


METHOD = Method(
    name="random_label",
    label="Random labels (RL)",
    short="Random labels",
    family=Family.WRONG_LABELS,
    about="Trains on random labels for the forget set and on the true ones for the rest.",
    paper="Golatkar et al., Eternal Sunshine of the Spotless Net, CVPR 2020",
    link="https://arxiv.org/abs/1911.04933",
    params=RandomLabelParams,
    work=passes_over(lambda sizes: sizes.retain + sizes.forget),
)
