"""Iterative magnitude pruning (IMP): settings, cost and what is said of it."""

import math
from dataclasses import dataclass

from unlearn_core.models.recipe import FROM_SCRATCH
from unlearn_core.params import setting
from unlearn_core.sparsify.effort import Effort
from unlearn_core.sparsify.recipes import RewindRecipe, rewound
from unlearn_core.sparsify.sparsifier import Sparsifier


@dataclass(frozen=True)
class ImpParams(RewindRecipe):
    """As published, but for the rewound epoch's place in a shorter recipe."""

    rate: float = setting(
        0.2,
        "Share of the remaining weights that each round removes",
        label="Share that goes in each round",
        low=0.01,
        high=0.9,
    )


def sparsities(params: ImpParams) -> list[float]:
    """The sparsity after each round; the last is the one asked for."""
    rounds = max(1, math.ceil(math.log(1 - params.sparsity) / math.log(1 - params.rate) - 1e-9))
    return [*(1 - (1 - params.rate) ** k for k in range(1, rounds)), params.sparsity]


def effort(params: ImpParams, given: bool) -> Effort:
    """The dense weights, and a training in every round but the last, whose training is that of the sparse model."""
    return rewound(params, given) + Effort((len(sparsities(params)) - 1) * params.epochs)


SPARSIFIER = Sparsifier(
    name="imp",
    label="Iterative magnitude pruning (IMP)",
    short="IMP",
    about="Removes a share of the remaining weights a round and trains again from early weights each time.",
    paper="Frankle and Carbin, The Lottery Ticket Hypothesis, ICLR 2019",
    link="https://arxiv.org/abs/1803.03635",
    params=ImpParams,
    effort=effort,
    sees_data=True,
    published={**FROM_SCRATCH, "rewind_epoch": 8},
)
