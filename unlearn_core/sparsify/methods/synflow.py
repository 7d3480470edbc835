"""SynFlow: settings, cost and what is said of it."""

from dataclasses import dataclass

from unlearn_core.models.recipe import FROM_SCRATCH
from unlearn_core.params import setting
from unlearn_core.sparsify.effort import Effort
from unlearn_core.sparsify.recipes import SparseRecipe
from unlearn_core.sparsify.sparsifier import Sparsifier


@dataclass(frozen=True)
class SynFlowParams(SparseRecipe):
    """As published."""

    rounds: int = setting(
        100, "Rounds of pruning before training", label="Rounds of pruning", low=1, high=1000
    )


def effort(params: SynFlowParams, given: bool) -> Effort:
    """A pass of the flow in every round."""
    return Effort(flows=params.rounds)


SPARSIFIER = Sparsifier(
    name="synflow",
    label="SynFlow",
    short="SynFlow",
    about="Removes weights before any training by how much of a synthetic flow they carry; it sees no image.",
    paper="Tanaka et al., Pruning Neural Networks Without Any Data, NeurIPS 2020",
    link="https://arxiv.org/abs/2006.05467",
    params=SynFlowParams,
    effort=effort,
    sees_data=False,
    published=FROM_SCRATCH,
)
