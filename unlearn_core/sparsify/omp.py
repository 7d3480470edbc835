"""OMP: one-shot magnitude pruning, then training again from early weights.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 4; after
Ma et al., "Sanity Checks for Lottery Tickets", NeurIPS 2021, and Frankle et al., "Linear Mode Connectivity and the
Lottery Ticket Hypothesis", ICML 2020. Published: weights of epoch 8 of 182, two trainings.
Deviation: the schedule of the second training begins anew; the released code advances it by the rewound epochs.
"""

from collections.abc import Mapping

from torch import Tensor

from unlearn_core.sparsify.dense import dense_weights
from unlearn_core.sparsify.mask import SparseMask, conv_weights, count_to_keep, keep_highest
from unlearn_core.sparsify.methods.omp import OmpParams
from unlearn_core.sparsify.task import Found, SparseTask, State


def find(params: OmpParams, task: SparseTask) -> Found:
    """Removes the smallest weights of the dense model in one step."""
    trained, start = dense_weights(params, task)
    mask = largest(magnitudes(trained, task), params.sparsity)
    facts = {
        "dense": "given" if task.origin.given else "trained anew",
        "rewind": params.rewind,
        "dense_seed": task.origin.seed,
    }
    return Found(mask, start, facts)


def magnitudes(state: State, task: SparseTask) -> dict[str, Tensor]:
    """Absolute weights of all convolutions."""
    return {name: state[name].abs() for name in conv_weights(task.model.net)}


def largest(scores: Mapping[str, Tensor], sparsity: float) -> SparseMask:
    """The mask that keeps the highest scores of all layers together."""
    return keep_highest(scores, count_to_keep(sum(s.numel() for s in scores.values()), sparsity))
