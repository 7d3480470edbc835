"""Bad Teacher: settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.models.recipe import Recipe
from unlearn_core.params import setting
from unlearn_core.unlearning.method import Family, Method
from unlearn_core.unlearning.work import Sizes, Work, stint


@dataclass(frozen=True)
class BadTeacherParams(Recipe):
    """Published: 1 epoch of Adam at 1e-4, batches of 256, T = 1, 30 % of the retain set."""

    epochs: int = setting(1, "Passes over the mixed images")
    lr: float = setting(1e-4, "Learning rate; published for Adam: 1e-4")
    batch_size: int = setting(256)
    weight_decay: float = setting(0.0, "L2 penalty on all weights; published: none")
    schedule: str = setting("constant")
    optimizer: str = setting(
        "adam", "Published: adam", label="Optimiser", choices=("adam", "sgd"), advanced=True
    )
    retain_share: float = setting(
        0.3,
        "Share of the retain set that is mixed in; published: 0.3",
        label="Share of the retain set mixed in",
        low=0.0,
        high=1.0,
    )
    temperature: float = setting(1.0, "Softens the answers; published: 1", low=0.1, high=100.0)


def work(params: BadTeacherParams, sizes: Sizes) -> Work:
    """Training on the mixed images, each of which both teachers answer."""
    mixed = params.epochs * (sizes.forget + params.retain_share * sizes.retain)
    return Work((stint(mixed, params),), params.epochs, answers=2 * mixed)


METHOD = Method(
    name="bad_teacher",
    label="Bad Teacher",
    short="Bad Teacher",
    family=Family.TEACHING,
    about="Learns the forget set from a random network and the rest from the original one.",
    paper="Chundawat et al., Can Bad Teaching Induce Forgetting?, AAAI 2023",
    link="https://arxiv.org/abs/2205.08096",
    params=BadTeacherParams,
    work=work,
)
