"""SalUn: settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.params import setting
from unlearn_core.unlearning.method import Family, Method
from unlearn_core.unlearning.methods.random_label import RandomLabelParams
from unlearn_core.unlearning.work import Sizes, Work, exact_stint, stint


@dataclass(frozen=True)
class SalUnParams(RandomLabelParams):
    """Published: 10 epochs at 0.013 (the README of 2025; before, 0.1), half of the weights."""

    lr: float = setting(0.013, "Learning rate; the authors' README says 0.013, before 2025 0.1")
    salient: float = setting(
        0.5,
        "Share of the weights that may move; published: 0.5",
        label="Share of weights that may move",
        low=0.0,
        high=1.0,
    )


def work(params: SalUnParams, sizes: Sizes) -> Work:
    """The forget set's gradient, then random labels."""
    trained = stint(params.epochs * (sizes.forget + sizes.retain), params)
    return Work((exact_stint(sizes.forget, params), trained), params.epochs)


METHOD = Method(
    name="salun",
    label="SalUn",
    short="SalUn",
    family=Family.WRONG_LABELS,
    about="Trains on random labels, moving only the weights that matter most to the forget set.",
    paper="Fan et al., SalUn: Empowering Machine Unlearning via Gradient-based Weight Saliency, ICLR 2024",
    link="https://arxiv.org/abs/2310.12508",
    params=SalUnParams,
    work=work,
)
