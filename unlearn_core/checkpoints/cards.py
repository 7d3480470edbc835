"""The schema of a model's card, which is as hostile as any other part of a file: every value has a type and a range.

A card whose own parts are wrong is refused. Of its facts, which only tell of the model, one that is unknown or wrong is
left out, and it is said which. Known without torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from unlearn_core.data.forgotten import forgotten_by
from unlearn_core.errors import UnlearnError
from unlearn_core.models.recipe import Recipe
from unlearn_core.params import build

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=10**12)]
Seconds = Annotated[float, Meta(ge=0, le=10**10)]
Text = Annotated[str, Meta(max_length=20_000)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-zA-Z]{0,128}$")]
Numbers = Annotated[list[float], Meta(min_length=1, max_length=3)]

_DEEPEST = 6
_MOST_VALUES = 100_000


class _Normalization(msgspec.Struct):
    name: Name
    mean: Numbers
    std: Numbers


class _Card(msgspec.Struct):
    name: Name
    spec: dict[str, Any]
    classes: Annotated[list[Name], Meta(min_length=1, max_length=100_000)]
    normalization: _Normalization
    image_size: Annotated[int, Meta(ge=1, le=1024)]
    dataset: Annotated[str, Meta(max_length=4096)] = ""
    facts: dict[str, Any] = {}


class _Forgotten(msgspec.Struct):
    classes: Annotated[list[Name], Meta(max_length=100_000)]
    images: Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/=]*$")]
    known: bool = True


class _Sparsity(msgspec.Struct):
    measured: Share
    method: Name = ""
    asked: Share | None = None
    over: Name = ""
    strict: bool = False
    forget: Any = None
    seconds: Seconds | None = None


@dataclass(frozen=True)
class CheckedCard:
    """A card of which every value has its type and lies in its range.

    Attributes:
        values: The card as plain values.
        dropped: The facts that were left out.
    """

    values: dict[str, Any]
    dropped: tuple[str, ...]


def checked(card: Any, source: str) -> CheckedCard:
    """The card, with the facts that are known and sound.

    Raises:
        UnlearnError: A part without which no model can be used is missing or wrong, or the list of what it has forgotten is.
    """
    try:
        msgspec.convert(card, _Card)
        parts = {name: value for name, value in card.items() if name != "facts"}
        if not is_plain(parts):
            raise msgspec.ValidationError("it holds numbers that aren't finite, or too much")
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise UnlearnError(
            f"The card in {source} is damaged ({error}); save or download the model again."
        ) from error
    stated = card.get("facts", {})
    if (
        "forgotten" in stated
    ):  # without it training could bring something back: never left out like another fact
        forgotten_by(stated)
    facts = {name: value for name, value in stated.items() if _is_fact(name, value, len(card["classes"]))}
    dropped = tuple(sorted(str(name)[:40] for name in stated if name not in facts))
    return CheckedCard({**card, "facts": facts}, dropped)


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether it is plain data of a sane size: no number that isn't finite, nothing too deep, no endless list."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return abs(value) < 2**63
    if isinstance(value, str):
        return len(value) <= 20_000
    if isinstance(value, dict | list):
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return depth < _DEEPEST and len(parts) <= _MOST_VALUES and all(is_plain(p, depth + 1) for p in parts)
    return value is None or isinstance(value, bool)


def _is_fact(name: str, value: Any, classes: int) -> bool:
    if name == "forgotten":  # hashes of many images are long
        return _is(_Forgotten, value)
    if not is_plain(value):
        return False
    if name == "per_class":
        return _is(list[Share], value) and len(value) == classes
    return name in FACTS and FACTS[name](value)


def _is(kind: Any, value: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _of(kind: Any) -> Callable[[Any], bool]:
    return lambda value: _is(kind, value)


def _is_recipe(value: Any) -> bool:
    try:
        build(Recipe, value)
    except (UnlearnError, TypeError, ValueError, AttributeError):
        return False
    return isinstance(value, Mapping)


# What cards tell of their models, each with its kind; all facts besides are left out.
FACTS: Mapping[str, Callable[[Any], bool]] = {
    "command": _of(Text),
    "recipe": _is_recipe,
    "seed": _of(Count),
    "accuracy": _of(Share),
    "test_images": _of(Count),
    "train_images": _of(Count),
    "data_digest": _of(Digest),
    "weights_digest": _of(Digest),
    "sparsified_from": _of(Digest),
    "unlearned_from": _of(Digest),
    "forgot": _of(list[Name]),
    "forgotten": _of(_Forgotten),
    "seconds": _of(Seconds),
    "device": _of(Name),
    "device_name": _of(Name),
    "precision": _of(Name),
    "threads": _of(Count | None),
    "cores": _of(Count | None),
    "epochs": _of(Count),
    "notes": _of(list[Text]),
    "sparsity": _of(_Sparsity),
    "federated": _of(dict[str, Any]),
    "normalization_chosen": _of(Text),
    "normalization_tried": _of(dict[str, Share]),
    "normalization_images": _of(Count),
}
