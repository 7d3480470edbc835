"""What a model has been made to forget, over all requests: it belongs to the model. Known without torch."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.words import counted, listed

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


def to_facts(forgotten: Forgotten) -> dict[str, Any]:
    """The entry of a card's facts that `forgotten_by` reads; none where nothing was forgotten."""
    if not forgotten:
        return {}
    images = base64.b64encode(b"".join(sorted(forgotten.images))).decode()
    entry = {"classes": list(forgotten.classes), "images": images, "known": forgotten.known}
    return {"forgotten": entry}
