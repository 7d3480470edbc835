"""Retraining: settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.models.recipe import FROM_SCRATCH, Recipe
from unlearn_core.params import setting
from unlearn_core.unlearning.method import Beside, Family, Method
from unlearn_core.unlearning.work import passes_over


@dataclass(frozen=True)
class RetrainParams(Recipe):
    """A recipe from scratch; a model's own recipe, where its card records one, takes the place of these defaults."""

    epochs: int = setting(12, "Passes over the retain set", low=1)
    lr: float = setting(0.1, "Highest learning rate")
    schedule: str = setting("one_cycle")
    # A new network has no statistics to keep, so that retraining refuses this.
    freeze_bn: bool = setting(False, hidden=True)


METHOD = Method(
    name="retrain",
    label="Retrain from scratch",
    short="Retraining",
    family=Family.REFERENCE,
    about="Trains a new model without the forget set: exact, slow, and the reference for all others.",
    paper="Jia et al., Model Sparsity Can Simplify Machine Unlearning, NeurIPS 2023",
    link="https://arxiv.org/abs/2304.04934",
    params=RetrainParams,
    work=passes_over(lambda sizes: sizes.retain),
    retain_alone=True,
    beside=Beside(
        label="Retrain",
        words="retraining",
        about="From scratch, the reference for all: a new model that never saw what is forgotten. Slow.",
        usual=False,
    ),
    published=FROM_SCRATCH,
)
