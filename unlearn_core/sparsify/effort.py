"""How much training a sparsifier needs, from its settings alone."""

from typing import Any

from unlearn_core.sparsify.dense import RewindRecipe
from unlearn_core.sparsify.imp import ImpParams, sparsities


def epochs_of(params: Any, *, given: bool, strict: bool) -> int:
    """Passes over the training images until the sparse model is there.

    Args:
        params: A sparsifier's settings.
        given: Whether the given model's own weights are ranked; otherwise a dense model is trained anew.
        strict: Whether the mask is found twice, the second time without the forget set and from a dense model of its own.
    """
    again = _mask_epochs(params, given=False) if strict else 0
    return int(_mask_epochs(params, given=given) + again + params.epochs)


def _mask_epochs(params: Any, *, given: bool) -> int:
    if not isinstance(params, RewindRecipe):
        return 0
    early = params.rewind_epoch if params.rewind == "early" else 0
    rounds = len(sparsities(params)) - 1 if isinstance(params, ImpParams) else 0
    return int((early if given else params.epochs) + rounds * params.epochs)
