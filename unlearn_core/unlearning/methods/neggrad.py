"""NegGrad+: settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.models.recipe import Recipe
from unlearn_core.params import setting
from unlearn_core.unlearning.method import Family, Method
from unlearn_core.unlearning.work import passes_over


@dataclass(frozen=True)
class NegGradParams(Recipe):
    """Published on small scale: 10 epochs at 0.01, β 0.95, neither momentum nor weight decay."""

    epochs: int = setting(10, "Passes over the retain set; published: 10, RUM 5")
    momentum: float = setting(0.0, "Momentum (Nesterov) of SGD; published: none")
    weight_decay: float = setting(0.0, "L2 penalty on all weights; published: none")
    schedule: str = setting("constant")
    beta: float = setting(
        0.95,
        "Weight of the retain set; published: 0.95, on large scale 0.9999",
        label="Weight of the retain set, β",
        low=0.0,
        high=1.0,
    )


METHOD = Method(
    name="neggrad",
    label="NegGrad+",
    short="NegGrad+",
    family=Family.ASCENT,
    about="Lowers the loss on the retain set and raises it on the forget set in one step.",
    paper="Kurmanji et al., Towards Unbounded Machine Unlearning, NeurIPS 2023",
    link="https://arxiv.org/abs/2302.09880",
    params=NegGradParams,
    work=passes_over(lambda sizes: sizes.retain, steps=2.0),
)
