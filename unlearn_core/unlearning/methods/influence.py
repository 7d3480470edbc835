"""Influence unlearning (IU): settings, cost and what is said of it."""

import math
from dataclasses import dataclass

from unlearn_core.params import setting
from unlearn_core.unlearning.method import Family, Method
from unlearn_core.unlearning.work import Sizes, Work, exact_stint


@dataclass(frozen=True)
class InfluenceParams:
    """Published: α = 1 (a scale to search over), 1,002 samples, damping 1."""

    solver: str = setting(
        "woodbury", "How H^-1 v is computed: exactly, or as released", choices=("woodbury", "released")
    )
    alpha: float = setting(
        1.0,
        "Length of the step; the authors ran 1, later papers search 1 to 20",
        label="Length of the step, α",
        low=0.0,
        high=1e6,
    )
    damping: float = setting(
        1.0, "Added to the Fisher's diagonal; published: 1", label="Damping, λ", low=1e-9, high=1e9
    )
    samples: int = setting(
        1002,
        "Retained images that make the Fisher; published: 1002",
        label="Images that make the Fisher",
        low=1,
        high=100_000,
    )
    memory: float = setting(
        2.0,
        "GiB for gradients; with less, they are computed more often",
        label="Memory for gradients, GiB",
        low=0.001,
        high=1000,
        advanced=True,
    )
    batch_size: int = setting(128, "Images in a step of the mean gradients", low=1, high=4096, advanced=True)


def chunk_size(samples: int, parameters: int, memory: float) -> int:
    """How many images' gradients are held at once: all where they fit, otherwise half of what fits, for two chunks."""
    fitting = int(memory * 2**30 / (4 * max(1, parameters)))
    return samples if samples <= fitting else max(1, fitting // 2)


def work(params: InfluenceParams, sizes: Sizes) -> Work:
    """Mean gradients of both sets, and each sampled image's own gradient with their products."""
    m = min(params.samples, sizes.retain)
    mean = exact_stint(sizes.forget + sizes.retain, params)
    if params.solver == "released":
        return Work((mean,), gradients=m, pairs=3 * m)
    chunk = chunk_size(m, sizes.parameters, params.memory)
    chunks = math.ceil(m / max(1, chunk))
    # Each chunk's gradients are computed once as rows and once as the columns of every chunk before it.
    gradients = chunk * chunks * (chunks + 1) / 2
    return Work((mean, exact_stint(m, params)), gradients=gradients, pairs=m * m)


METHOD = Method(
    name="influence",
    label="Influence unlearning (IU)",
    short="Influence unlearning",
    family=Family.SPARSITY_PAPER,
    about="Takes one computed step to where retraining would lead, to first order.",
    paper="Jia et al., Model Sparsity Can Simplify Machine Unlearning, NeurIPS 2023",
    link="https://arxiv.org/abs/2304.04934",
    params=InfluenceParams,
    work=work,
    published={"solver": "released"},
)
