"""IMP: iterative magnitude pruning, a share of the remaining weights a round, each round trained from early weights.

Paper: Frankle and Carbin, "The Lottery Ticket Hypothesis", ICLR 2019, arXiv 1803.03635; with rewinding, Frankle et al.,
ICML 2020, arXiv 1912.05671; for unlearning, Jia et al., NeurIPS 2023, arXiv 2304.04934, who find that its masks depend
most on the training images. Published: a fifth of the remaining weights a round, 14 rounds for 95.6 %.
Deviation: the last round removes no more than the sparsity that was asked for.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from unlearn_core.models.recipe import FROM_SCRATCH
from unlearn_core.params import setting
from unlearn_core.progress import renamed
from unlearn_core.sparsify.dense import RewindRecipe, dense_weights
from unlearn_core.sparsify.mask import SparseMask
from unlearn_core.sparsify.omp import largest, magnitudes
from unlearn_core.sparsify.sparsifier import Found, SparseTask, Sparsifier, State, copied, train_under


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


def find(params: ImpParams, task: SparseTask) -> Found:
    """Prunes and trains again, round by round; every finished round is kept, so that a resumed run goes on from there."""
    trained, start = dense_weights(params, task)
    course = sparsities(params)
    for k, sparsity in enumerate(course, 1):
        # Weights that earlier rounds removed are zero, so they rank below all others and stay away.
        mask = largest(magnitudes(trained, task), sparsity)
        if k < len(course):
            trained = task.stages.made(f"round-{k:02}", _round(params, task, mask, start, k, len(course)))
    facts = {
        "dense": "given" if task.origin.given else "trained anew",
        "rewind": params.rewind,
        "dense_seed": task.origin.seed,
        "rounds": len(course),
    }
    return Found(mask, start, facts)


def _round(
    params: ImpParams, task: SparseTask, mask: SparseMask, start: State, k: int, rounds: int
) -> Callable[[], State]:
    def trained() -> State:
        report = renamed(task.report, f"round {k} of {rounds}")
        model = task.fresh(task.seed)
        return copied(train_under(mask, start, model, task.images, params, seed=task.seed, report=report))

    return trained


SPARSIFIER = Sparsifier(
    name="imp",
    label="Iterative magnitude pruning (IMP)",
    about="Removes a share of the remaining weights a round and trains again from early weights each time.",
    paper="Frankle and Carbin, The Lottery Ticket Hypothesis, ICLR 2019",
    link="https://arxiv.org/abs/1803.03635",
    params=ImpParams,
    find=find,
    sees_data=True,
    published={**FROM_SCRATCH, "rewind_epoch": 8},
)
