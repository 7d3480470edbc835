"""Weights that PyTorch stores in pieces: pruned, weight-normalised, spectrally normalised; brought back into one tensor each.

`torch.nn.utils.prune` keeps what was and which of it stays; `weight_norm` a length and a direction; `spectral_norm` the
weights and the two vectors that their largest singular value is computed by. The newer `parametrizations` keep the same
numbers under other names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unlearn_core.errors import UnlearnError

Pieces = Mapping[str, Tensor]


@dataclass(frozen=True)
class Form:
    """One way of keeping a weight in pieces.

    Attributes:
        pieces: What follows the weight's name in each piece's name; the first has the weight's shape. With
            `parametrizations`, the module's and the weight's name stand around that word.
        weight: The weight from its pieces, which come in the order of their names.
        word: What happened to it.
    """

    pieces: tuple[str, ...]
    weight: Callable[..., Tensor]
    word: str


@dataclass(frozen=True)
class Whole:
    """Tensors with no piece left.

    Attributes:
        tensors: By name.
        masks: Which weights stay, of those that were pruned; by the weight's name.
        words: What was done, as parts of a sentence.
    """

    tensors: dict[str, Tensor]
    masks: dict[str, Tensor]
    words: tuple[str, ...]


def whole_names(names: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Each weight's own name with the names of its pieces, in the order of the file; of a whole one, its own name alone."""
    left = dict.fromkeys(names)
    wholes: dict[str, tuple[str, ...]] = {}
    for name in names:
        if name in left:
            weight, pieces = _weight_of(name, names)
            wholes[weight] = pieces
            for piece in pieces:
                left.pop(piece, None)
    return wholes


def shapes(tensors: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of each weight under its own name, from the pieces' shapes alone."""
    return {name: tuple(tensors[pieces[0]].shape) for name, pieces in whole_names(tensors).items()}


def made_whole(tensors: Pieces) -> Whole:
    """Every weight in one tensor, as the layers compute with it.

    Raises:
        UnlearnError: A weight is kept in a way that isn't known; the message says how to bake it in.
    """
    whole: dict[str, Tensor] = {}
    masks: dict[str, Tensor] = {}
    words: dict[str, None] = {}
    for name, pieces in whole_names(tensors).items():
        form = _form_of(name, pieces)
        if form is None:
            _require_known(name)
            whole[name] = tensors[pieces[0]]
            continue
        values = [tensors[piece] for piece in pieces]
        _require_fit(name, values)
        whole[name] = form.weight(*values).to(values[0].dtype)
        words[form.word] = None
        if form.word == _PRUNED:
            masks[name] = values[1] != 0
    return Whole(whole, masks, tuple(words))


def _pruned(weight: Tensor, mask: Tensor) -> Tensor:
    return weight * mask.to(weight.dtype)


def _weight_normed(direction: Tensor, length: Tensor) -> Tensor:
    kept = tuple(d for d in range(direction.ndim) if length.ndim != direction.ndim or length.shape[d] == 1)
    directions: Tensor = direction * (
        length / torch.linalg.vector_norm(direction.double(), dim=kept, keepdim=True)
    )
    return directions


def _spectrally_normed(weight: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """The weight over its largest singular value, as it was last estimated."""
    rows = weight.flatten(1) if left.numel() == len(weight) else weight.transpose(0, 1).flatten(1)
    return weight / torch.dot(left.double(), rows.double() @ right.double())


_PRUNED = "pruned weights are multiplied by their masks"
_FORMS = (
    Form(("_orig", "_u", "_v"), _spectrally_normed, "spectral norm is baked in"),
    Form(("_orig", "_mask"), _pruned, _PRUNED),
    Form(("_v", "_g"), _weight_normed, "weight norm is baked in"),
    Form(("", "_mask"), _pruned, _PRUNED),
    Form((".original", ".0._u", ".0._v"), _spectrally_normed, "spectral norm is baked in"),
    Form((".original1", ".original0"), _weight_normed, "weight norm is baked in"),
)
_INSIDE = "parametrizations."


def _weight_of(name: str, names: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The weight that a tensor is a piece of, and all pieces of it; itself where it is none."""
    for form in _FORMS:
        for ending in form.pieces:
            stem = name.removesuffix(ending)
            pieces = tuple(stem + other for other in form.pieces)
            if name.endswith(ending) and all(piece in names for piece in pieces):
                return _outer(stem), pieces
    return name, (name,)


def _outer(stem: str) -> str:
    """`conv.parametrizations.weight` as `conv.weight`."""
    before, inside, last = stem.rpartition(_INSIDE)
    return before + last if inside else stem


def _form_of(name: str, pieces: tuple[str, ...]) -> Form | None:
    for form in _FORMS:
        stem = pieces[0].removesuffix(form.pieces[0])
        if len(pieces) > 1 and pieces == tuple(stem + ending for ending in form.pieces):
            return form
    return None


def _require_known(name: str) -> None:
    ending = name.rpartition(".")[2]
    if _INSIDE in name or ending.endswith(("_orig", "_mask")):
        raise UnlearnError(
            f"the tensor {name} is a piece of a weight that is computed by a parametrisation. Bake it in before saving: "
            "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight') for each such layer (or "
            "torch.nn.utils.prune.remove), then torch.save(model.state_dict(), FILE)."
        )


def _require_fit(name: str, values: list[Tensor]) -> None:
    """The pieces belong together: a mask has the weight's shape, a length one value a channel, vectors fit the sides.

    Raises:
        UnlearnError: They don't.
    """
    weight, *others = values
    sizes = {1, weight.numel(), *weight.shape, *(weight.numel() // max(1, side) for side in weight.shape)}
    same = [o for o in others if o.numel() in sizes and (o.ndim <= 1 or o.ndim == weight.ndim)]
    if len(same) != len(others) or not weight.is_floating_point():
        raise UnlearnError(
            f"the pieces of {name} do not belong together: their shapes differ. Save the model again."
        )
