"""What a model is, as plain data: which net to build, how its input is normalised, where it comes from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unlearn_core import params
from unlearn_core.errors import UnlearnError


@dataclass(frozen=True)
class ModelSpec:
    """Which net to build.

    Attributes:
        arch: A name of `ARCHITECTURES`.
        num_classes: K, the number of outputs.
        in_channels: 3 (colour) or 1 (grey).
        width: Multiplies the channels of every layer; only the CIFAR nets know other values than 1.
    """

    arch: str = field(metadata={"help": "architecture"})
    num_classes: int = field(metadata={"help": "number of classes", "low": 1, "high": 100_000})
    in_channels: int = field(default=3, metadata={"help": "3 for colour, 1 for grey", "low": 1, "high": 3})
    width: float = field(
        default=1.0, metadata={"help": "share of the usual channels", "low": 1 / 64, "high": 16}
    )


def spec_to_plain(spec: ModelSpec) -> dict[str, Any]:
    """A spec as a dictionary of plain values; `spec_from_plain` reverses it."""
    return params.plain(spec)


def spec_from_plain(values: Mapping[str, Any]) -> ModelSpec:
    """The spec from plain values.

    Raises:
        UnlearnError: A field is missing, unknown, of the wrong kind or out of range.
    """
    missing = [name for name in ("arch", "num_classes") if values.get(name) is None]
    if missing:
        raise UnlearnError(
            f"The description of the model has no {missing[0]!r}; it needs arch and num_classes."
        )
    return params.build(ModelSpec, values)


@dataclass(frozen=True)
class Normalization:
    """Input normalisation: (image in [0, 1] - mean) / std for each channel.

    Attributes:
        name: A key of `NORMALIZATIONS`, "own" (measured on a data set) or "custom".
        mean: One value, or one a channel.
        std: As many values as `mean`, all above 0.
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuses what can't be applied."""
        right = len(self.mean) == len(self.std) and len(self.mean) in (1, 3)
        finite = all(math.isfinite(v) for v in self.mean + self.std)
        if not right or not finite or min(self.std, default=0) <= 0:
            raise UnlearnError(
                f"The normalisation {self.name!r} with mean {self.mean} and std {self.std} can't be used; "
                "give 1 or 3 finite means and as many standard deviations above 0."
            )

    def for_channels(self, channels: int) -> "Normalization":
        """The same for nets of 1 or 3 input channels: one value repeated, or three averaged."""
        if len(self.mean) == channels:
            return self
        if len(self.mean) == 1:
            return Normalization(self.name, self.mean * channels, self.std * channels)
        return Normalization(self.name, (sum(self.mean) / 3,), (sum(self.std) / 3,))


NORMALIZATIONS: Mapping[str, Normalization] = {
    n.name: n
    for n in (
        Normalization("none", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        Normalization("cifar10", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        Normalization("cifar100", (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
        Normalization("imagenet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        Normalization("half", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        # CIFAR-10's with the mean of each image's own deviation, from much-used training code.
        Normalization("cifar10_by_image", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    )
}


def parse_normalization(text: str) -> Normalization | None:
    """The normalisation that a person names; None for "auto" (find the one that fits).

    Args:
        text: auto, a name of `NORMALIZATIONS`, or MEAN/STD such as "0.5,0.5,0.5/0.2,0.2,0.2".

    Raises:
        UnlearnError: Neither a known name nor MEAN/STD.
    """
    word = text.strip().lower()
    if word == "auto":
        return None
    if word in NORMALIZATIONS:
        return NORMALIZATIONS[word]
    try:
        mean, std = (tuple(float(v) for v in part.split(",")) for part in word.split("/"))
    except ValueError as error:
        names = ", ".join(["auto", *NORMALIZATIONS])
        raise UnlearnError(
            f"The normalisation {text!r} is not known; give one of {names}, "
            "or MEAN/STD such as 0.5,0.5,0.5/0.2,0.2,0.2."
        ) from error
    return Normalization("custom", mean, std)


@dataclass(frozen=True)
class ModelCard:
    """All that must travel with weights to use them rightly.

    Attributes:
        name: What a person calls the model.
        spec: The unpruned net.
        classes: Class names in the order of the outputs; K of them.
        normalization: What the input needs.
        image_size: Height and width of the input in pixels.
        dataset: What it was trained on, as `str(DatasetSpec)`, or "" when unknown.
        facts: Plain values: command, seed, accuracy, per_class, epochs, digests, notes.
    """

    name: str
    spec: ModelSpec
    classes: tuple[str, ...]
    normalization: Normalization
    image_size: int
    dataset: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def card_to_plain(card: ModelCard) -> dict[str, Any]:
    """A card as plain values that JSON can hold; `card_from_plain` reverses it."""
    return {
        "name": card.name,
        "spec": spec_to_plain(card.spec),
        "classes": list(card.classes),
        "normalization": {
            "name": card.normalization.name,
            "mean": list(card.normalization.mean),
            "std": list(card.normalization.std),
        },
        "image_size": card.image_size,
        "dataset": card.dataset,
        "facts": dict(card.facts),
    }


def card_from_plain(values: Mapping[str, Any]) -> ModelCard:
    """The card from plain values, checked.

    Raises:
        UnlearnError: A part is missing or of the wrong kind, or the classes don't fit the outputs.
    """
    try:
        normalization = values["normalization"]
        card = ModelCard(
            name=str(values["name"]),
            spec=spec_from_plain(values["spec"]),
            classes=tuple(str(c) for c in values["classes"]),
            normalization=Normalization(
                str(normalization["name"]),
                tuple(float(v) for v in normalization["mean"]),
                tuple(float(v) for v in normalization["std"]),
            ),
            image_size=int(values["image_size"]),
            dataset=str(values.get("dataset", "")),
            facts=dict(values.get("facts", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UnlearnError(
            f"The model's card can't be read ({type(error).__name__}: {error}); "
            "it needs name, spec, classes, normalization and image_size."
        ) from error
    _check_card(card)
    return card


def _check_card(card: ModelCard) -> None:
    if len(card.classes) != card.spec.num_classes:
        raise UnlearnError(
            f"The card of {card.name!r} names {len(card.classes)} classes, "
            f"but the net has {card.spec.num_classes} outputs; both must be the same."
        )
    if len(set(card.classes)) != len(card.classes):
        raise UnlearnError(f"The card of {card.name!r} names a class twice; each class needs its own name.")
    if not 1 <= card.image_size <= 1024:
        raise UnlearnError(
            f"The card of {card.name!r} asks for images of {card.image_size} pixels; 1 to 1024 are possible."
        )
