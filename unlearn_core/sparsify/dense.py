"""The dense model whose weights are ranked, and the early weights that are gone back to."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from unlearn_core.errors import UnlearnError
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.training import fit
from unlearn_core.progress import renamed
from unlearn_core.sparsify.recipes import RewindRecipe
from unlearn_core.sparsify.task import Origin, SparseTask, State, copied


class _Reached(Exception):
    """Training has come as far as it was wanted."""


def origin_of(params: Any, recorded: tuple[Recipe, int] | None, seed: int) -> Origin:
    """Where the dense weights come from.

    Args:
        params: A sparsifier's settings.
        recorded: The recipe and seed that the given model was trained with from scratch on this data, where known.
        seed: Of a training anew.

    Raises:
        UnlearnError: The given model's early weights are wanted, and nobody knows how it was trained.
    """
    if not isinstance(params, RewindRecipe):
        return Origin(True, *(recorded or (None, seed)))
    can = recorded is not None or params.rewind == "none"
    if params.dense == "given" and not can:
        raise UnlearnError(
            "This model's card doesn't say how it was trained on this data, so its early weights can't be made again; "
            "choose dense = anew, or rewind = none."
        )
    if params.dense == "anew" or not can:
        return Origin(False, params, seed)
    return Origin(True, *(recorded or (None, seed)))


def dense_weights(params: RewindRecipe, task: SparseTask) -> tuple[State, State]:
    """The weights to rank, and those to begin again from."""
    stored = task.stages.made("dense", lambda: _joined(*_dense(params, task)))
    return tuple(  # type: ignore[return-value]
        {name[len(part) :]: t for name, t in stored.items() if name.startswith(part)} for part in _PARTS
    )


_PARTS = ("trained/", "start/")


def _joined(trained: State, start: State) -> dict[str, Tensor]:
    both = zip(_PARTS, (trained, start), strict=True)
    return {part + name: t for part, state in both for name, t in state.items()}


def _dense(params: RewindRecipe, task: SparseTask) -> tuple[State, State]:
    if not task.origin.given:
        return _trained_anew(params, task)
    trained = copied(task.model)
    return trained, trained if params.rewind == "none" else _early(params, task)


def _trained_anew(params: RewindRecipe, task: SparseTask) -> tuple[State, State]:
    model = task.fresh(task.origin.seed)
    seen = {0: copied(model)}
    wanted = _wanted_epoch(params)

    def after_epoch(epoch: int) -> Mapping[str, Any]:
        if epoch == wanted:
            seen[epoch] = copied(model)
        return {}

    _fit(task, model, _recipe(params, task), "training the dense model", after_epoch)
    trained = copied(model)
    return trained, trained if params.rewind == "none" else seen[wanted]


def _early(params: RewindRecipe, task: SparseTask) -> State:
    """The given model's weights after its first epochs, trained again from its own seed and recipe."""
    model, recipe, wanted = task.fresh(task.origin.seed), _recipe(params, task), _wanted_epoch(params)

    def after_epoch(epoch: int) -> Mapping[str, Any]:
        if epoch == wanted:
            raise _Reached
        return {}

    try:
        if wanted:
            _fit(task, model, recipe, "training the first epochs again", after_epoch)
    except _Reached:
        pass
    return copied(model)


def _fit(
    task: SparseTask, model: Any, recipe: Recipe, stage: str, after_epoch: Callable[[int], Mapping[str, Any]]
) -> None:
    fit(
        model,
        task.images,
        recipe,
        seed=task.origin.seed,
        report=renamed(task.report, stage),
        after_epoch=after_epoch,
    )


def _recipe(params: RewindRecipe, task: SparseTask) -> Recipe:
    recipe = task.origin.recipe or params
    if _wanted_epoch(params) > recipe.epochs:
        raise UnlearnError(
            f"rewind_epoch is {params.rewind_epoch}, but the dense model is trained for {recipe.epochs} epochs; "
            "choose an earlier epoch."
        )
    return recipe


def _wanted_epoch(params: RewindRecipe) -> int:
    return params.rewind_epoch if params.rewind == "early" else 0
