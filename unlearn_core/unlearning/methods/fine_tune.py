"""Fine-tuning (FT): settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.models.recipe import Recipe
from unlearn_core.params import setting
from unlearn_core.unlearning.method import Beside, Family, Method
from unlearn_core.unlearning.work import passes_over


@dataclass(frozen=True)
class FineTuneParams(Recipe):
    """Published: 10 epochs, learning rate 0.01, constant."""

    epochs: int = setting(10, "Passes over the retain set")
    schedule: str = setting("constant")


METHOD = Method(
    name="fine_tune",
    label="Fine-tune (FT)",
    short="Fine-tuning",
    family=Family.SPARSITY_PAPER,
    about="Trains on the retained images only, without pruning.",
    paper="Jia et al., Model Sparsity Can Simplify Machine Unlearning, NeurIPS 2023",
    link="https://arxiv.org/abs/2304.04934",
    params=FineTuneParams,
    work=passes_over(lambda sizes: sizes.retain),
    retain_alone=True,
    beside=Beside(
        label="Fine-tuning alone",
        words="fine-tuning alone",
        about="Beside pruning the same fine-tuning without it, else with its published settings: what forgets no better "
        "than that was not worth it.",
        usual=True,
    ),
)
