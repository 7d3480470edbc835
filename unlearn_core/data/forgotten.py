"""What a model has been made to forget, over all requests: it belongs to the model, and every later training leaves it out.

Known without torch; only what looks at images imports it.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from unlearn_core.errors import UnlearnError
from unlearn_core.words import counted, listed

if TYPE_CHECKING:
    from torch import Tensor

    from unlearn_core.data.sets import Dataset, ImageSet
    from unlearn_core.data.split import ForgetSplit

_HASH_BYTES = 16


@dataclass(frozen=True)
class Forgotten:
    """Classes and single images that a model has been made to forget.

    Attributes:
        classes: Names, in the order of the requests.
        images: Hashes of the pixels of images that were forgotten one by one, or as a random share.
        known: Whether the list is whole; a card that says what was forgotten last, and nothing of before, isn't.
    """

    classes: tuple[str, ...] = ()
    images: frozenset[bytes] = frozenset()
    known: bool = True

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.classes or self.images)

    def __or__(self, other: "Forgotten") -> "Forgotten":
        """Both together."""
        classes = tuple(dict.fromkeys((*self.classes, *other.classes)))
        return Forgotten(classes, self.images | other.images, self.known and other.known)

    def indices(self, classes: Sequence[str]) -> tuple[int, ...]:
        """Which of a data set's classes were forgotten, ascending."""
        return tuple(k for k, name in enumerate(classes) if name in self.classes)

    def sentence(self) -> str:
        """What was forgotten, as the page, the card and every result show it; empty where nothing was."""
        if not self.known:
            return (
                f"This model was made to forget {self._named() or 'something'} by a version that kept no list of what went "
                "before: whether more was forgotten isn't known, and only this is left out of training."
            )
        return f"Forgotten before, and left out of all training: {self._named()}." if self else ""

    def _named(self) -> str:
        count = len(self.images)
        images = [counted(count, "single image")] if count else []
        return " and ".join([*([listed(self.classes)] if self.classes else []), *images])


def forgotten_by(facts: Mapping[str, Any]) -> Forgotten:
    """What the facts on a model's card say that it was made to forget.

    Raises:
        UnlearnError: They can't be read.
    """
    entry = facts.get("forgotten")
    if entry is None:
        return Forgotten(tuple(facts.get("forgot", ())), known="unlearned_from" not in facts)
    try:
        joined = base64.b64decode(entry["images"], validate=True)
        if len(joined) % _HASH_BYTES:
            raise ValueError("a hash is cut short")
        hashes = (joined[i : i + _HASH_BYTES] for i in range(0, len(joined), _HASH_BYTES))
        return Forgotten(tuple(map(str, entry["classes"])), frozenset(hashes), bool(entry.get("known", True)))
    except (KeyError, TypeError, ValueError) as error:
        raise UnlearnError(
            f"The card's list of what the model has forgotten can't be read ({error}); without it, training could bring "
            "something back. Take the model from its source again."
        ) from error


def forgotten_in(split: "ForgetSplit") -> Forgotten:
    """What a model that was unlearned on this split has forgotten by it: whole classes, or images one by one."""
    from unlearn_core.data.sets import hashes_of

    if split.forget_classes:
        return Forgotten(tuple(split.classes[k] for k in split.forget_classes))
    return Forgotten(images=frozenset(hashes_of(split.forget)))


def to_facts(forgotten: Forgotten) -> dict[str, Any]:
    """The entry of a card's facts that `forgotten_by` reads; none where nothing was forgotten."""
    if not forgotten:
        return {}
    images = base64.b64encode(b"".join(sorted(forgotten.images))).decode()
    entry = {"classes": list(forgotten.classes), "images": images, "known": forgotten.known}
    return {"forgotten": entry}


def leave_out(dataset: "Dataset", forgotten: Forgotten) -> "Dataset":
    """The data set that a model may be trained on: without the training images that it was made to forget.

    Test images stay, so that it can be shown that what was forgotten stays so; `Dataset.forgotten_classes` tells which
    classes are no retained ones.
    """
    if not forgotten:
        return replace(dataset, notes=(*dataset.notes, *_notes(forgotten)))
    marked = marks(dataset.train, forgotten, dataset.classes)
    return replace(
        dataset,
        train=dataset.train.select(~marked),
        forgotten_classes=forgotten.indices(dataset.classes),
        withheld=dataset.withheld + int(marked.sum()),
        notes=(*dataset.notes, *_notes(forgotten)),
    )


def _notes(forgotten: Forgotten) -> tuple[str, ...]:
    return (forgotten.sentence(),) if forgotten.sentence() else ()


def marks(images: "ImageSet", forgotten: Forgotten, classes: Sequence[str]) -> "Tensor":
    """Which images were forgotten, by class or by hash: a mask (N,)."""
    import torch

    from unlearn_core.data.sets import hashes_of

    indices = torch.tensor(forgotten.indices(classes), dtype=torch.int64)
    by_class = torch.isin(images.labels, indices)
    if not forgotten.images:
        return by_class
    by_hash = [h in forgotten.images for h in hashes_of(images)]
    return by_class | torch.tensor(by_hash, dtype=torch.bool)
