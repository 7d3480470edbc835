"""IMP: iterative magnitude pruning, a share of the remaining weights a round, each round trained from early weights.

Paper: Frankle and Carbin, "The Lottery Ticket Hypothesis", ICLR 2019, arXiv 1803.03635; with rewinding, Frankle et al.,
ICML 2020, arXiv 1912.05671; for unlearning, Jia et al., NeurIPS 2023, arXiv 2304.04934, who find that its masks depend
most on the training images. Published: a fifth of the remaining weights a round, 14 rounds for 95.6 %.
Deviation: the last round removes no more than the sparsity that was asked for.
"""

from collections.abc import Callable

from unlearn_core.progress import renamed
from unlearn_core.sparsify.dense import dense_weights
from unlearn_core.sparsify.mask import SparseMask
from unlearn_core.sparsify.methods.imp import ImpParams, sparsities
from unlearn_core.sparsify.omp import largest, magnitudes
from unlearn_core.sparsify.task import Found, SparseTask, State, copied, train_under


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
