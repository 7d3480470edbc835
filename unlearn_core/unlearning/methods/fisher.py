"""Fisher forgetting (FF): settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.params import setting
from unlearn_core.unlearning.method import Family, Method
from unlearn_core.unlearning.work import FORWARD, Sizes, Work, exact_stint


@dataclass(frozen=True)
class FisherParams:
    """Published: α = 3e-8, batches of 32, all retained images."""

    alpha: float = setting(
        3e-8,
        "Scale of the noise's variance; the authors ran 2e-8 to 3e-8",
        label="Scale of the noise, α",
        low=0.0,
        high=1e3,
    )
    batch_size: int = setting(
        32, "Images whose mean gradient is squared; published: 32, exact: 1", low=1, high=4096, advanced=True
    )
    samples: int = setting(
        0,
        "Retained images that make the Fisher; 0 takes all (published)",
        label="Images that make the Fisher",
        low=0,
        high=100_000_000,
    )
    class_reset: str = setting(
        "auto",
        "Draw the forgotten classes' output rows anew; auto does where whole classes are forgotten",
        label="Reset the classes' output rows",
        choices=("auto", "yes", "no"),
    )


def work(params: FisherParams, sizes: Sizes) -> Work:
    """One backward pass for each class behind every forward pass."""
    images = min(params.samples or sizes.retain, sizes.retain)
    return Work((exact_stint(images, params, FORWARD + sizes.classes * (1 - FORWARD)),))


METHOD = Method(
    name="fisher",
    label="Fisher forgetting (FF)",
    short="Fisher forgetting",
    family=Family.SPARSITY_PAPER,
    about="Adds noise to every weight, the more the less the retained images need it.",
    paper="Golatkar et al., Eternal Sunshine of the Spotless Net, CVPR 2020",
    link="https://arxiv.org/abs/1911.04933",
    params=FisherParams,
    work=work,
)
