"""SCRUB: settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.models.recipe import Recipe
from unlearn_core.params import setting
from unlearn_core.unlearning.method import Family, Method
from unlearn_core.unlearning.work import Sizes, Stint, Work, stint


@dataclass(frozen=True)
class ScrubParams(Recipe):
    """Published for all of CIFAR-10: 3 epochs at 5e-4, T = 4, γ = 0.99, α = 0.001, forget batches of 32."""

    epochs: int = setting(3, "Passes over the retain set; published: 3, small scale 10")
    lr: float = setting(5e-4, "Learning rate; published: 5e-4, RUM 5e-3")
    schedule: str = setting("constant")
    optimizer: str = setting(
        "sgd",
        "Published: sgd on large scale, adam on small",
        label="Optimiser",
        choices=("sgd", "adam"),
        advanced=True,
    )
    max_epochs: int = setting(
        2,
        "First epochs that also leave the teacher on D_f; RUM: 4",
        label="Epochs that leave the teacher",
        low=0,
        high=1000,
    )
    forget_batch_size: int = setting(
        32,
        "Forget images in a step",
        label="Batch size of the forget set",
        low=1,
        high=4096,
        advanced=True,
    )
    gamma: float = setting(
        0.99,
        "Weight of the cross-entropy on D_r",
        label="Weight of the cross-entropy, γ",
        low=0.0,
        high=100.0,
    )
    alpha: float = setting(
        0.001,
        "Weight of the divergence on D_r; small scale 0.5",
        label="Weight of the teacher, α",
        low=0.0,
        high=100.0,
    )
    temperature: float = setting(4.0, "Softens both answers; small scale 2", low=0.1, high=100.0)
    rewind: bool = setting(
        False,
        "SCRUB+R: take the epoch that forgot as much as unseen images are missed",
        label="Rewind (SCRUB+R)",
    )


def work(params: ScrubParams, sizes: Sizes) -> Work:
    """Epochs away from the teacher and towards it; the teacher answers every image once, too."""
    leaving = min(params.max_epochs, params.epochs) * sizes.forget
    staying = params.epochs * sizes.retain
    rewinding = sizes.test + params.epochs * sizes.forget if params.rewind else 0
    away = Stint(leaving, params.forget_batch_size, precision=params.precision)
    return Work((away, stint(staying, params)), params.epochs, answers=leaving + staying + rewinding)


METHOD = Method(
    name="scrub",
    label="SCRUB",
    short="SCRUB",
    family=Family.TEACHING,
    about="Trains a student to disagree with the original model on the forget set only.",
    paper="Kurmanji et al., Towards Unbounded Machine Unlearning, NeurIPS 2023",
    link="https://arxiv.org/abs/2302.09880",
    params=ScrubParams,
    work=work,
)
