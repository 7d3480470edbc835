"""How to train a sparse model and the dense one that it comes from, as settings; known without torch."""

from dataclasses import dataclass

from unlearn_core.models.recipe import Recipe
from unlearn_core.params import setting
from unlearn_core.sparsify.effort import Effort

REWINDS = ("early", "init", "none")
DENSE = ("auto", "given", "anew")


@dataclass(frozen=True)
class SparseRecipe(Recipe):
    """How sparse, and how to train from early weights; a model's own recipe, where its card records one, takes the
    place of these defaults. Published: 182 epochs, rate 0.1, a tenth of it from epochs 91 and 136."""

    sparsity: float = setting(
        0.95, "Share of the convolutions' weights to remove, all layers together", low=0.0, high=0.999
    )
    epochs: int = setting(12, "Passes over the images in each training")
    lr: float = setting(0.1, "Highest learning rate")
    schedule: str = setting("one_cycle")
    # A new network has no statistics to keep.
    freeze_bn: bool = setting(False, hidden=True)


@dataclass(frozen=True)
class RewindRecipe(SparseRecipe):
    """Which dense weights are ranked, and where training begins again."""

    rewind: str = setting(
        "early",
        "Weights to train again from: early ones, the initial ones, or the trained ones",
        label="Train again from",
        choices=REWINDS,
    )
    rewind_epoch: int = setting(
        1,
        "Epoch of the early weights; published: 8 of 182",
        label="Epoch of the early weights",
        low=1,
        high=1000,
    )
    dense: str = setting(
        "auto",
        "Rank the given model's weights, or those of a dense model trained anew; auto trains anew where "
        "early weights are needed and the card doesn't say how the model was trained",
        label="Dense model that is ranked",
        choices=DENSE,
    )


def rewound(params: RewindRecipe, given: bool) -> Effort:
    """What the dense weights cost: the first epochs again of a model that is there, or the whole training of another."""
    early = params.rewind_epoch if params.rewind == "early" else 0
    return Effort(early if given else params.epochs)
