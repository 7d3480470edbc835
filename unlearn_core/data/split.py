"""Splitting: what is to be forgotten from what is kept, and a test part from a training part."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unlearn_core.data.classes import class_index
from unlearn_core.data.sets import Dataset, ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.words import listed

TEST_SHARE = 0.2
SPLIT_SEED = 0


@dataclass(frozen=True)
class ForgetSpec:
    """What to forget: whole classes, or a random share of the training images; exactly one of the two.

    Attributes:
        classes: Names or indices of classes.
        fraction: Share of the training images, within (0, 1).
        seed: Seed of the random share.
    """

    classes: tuple[str, ...] = ()
    fraction: float = 0.0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class ForgetSplit:
    """A data set, cut into what is kept and what is forgotten; labels are the data set's own everywhere.

    Attributes:
        retain: Training images that are kept.
        forget: Training images that are to be forgotten.
        test: Test images of the retained classes; of all that are left when a random share is forgotten.
        test_forget: Test images of the forgotten classes; empty when a random share is forgotten.
        classes: Class names in the order of the labels.
        forget_classes: Labels of the forgotten classes, ascending; empty when a random share is forgotten.
        digest: SHA-256 (hexadecimal) over the data set's digest and the forgotten positions.
        test_before: Test images of the classes that the model was made to forget before.
        forgotten_before: Labels of these classes, ascending.
    """

    retain: ImageSet
    forget: ImageSet
    test: ImageSet
    test_forget: ImageSet
    classes: tuple[str, ...]
    forget_classes: tuple[int, ...]
    digest: str
    test_before: ImageSet
    forgotten_before: tuple[int, ...] = ()


def split_dataset(dataset: Dataset, forget: ForgetSpec) -> ForgetSplit:
    """The data set cut by what is to be forgotten.

    Raises:
        UnlearnError: Both or neither of classes and fraction, an unknown class, or nothing left on one side.
    """
    if bool(forget.classes) == bool(forget.fraction):
        raise UnlearnError(
            f"Forget either whole classes or a share of the training images; got classes "
            f"{', '.join(forget.classes) or 'none'} and share {forget.fraction:g}."
        )
    labels = _forget_labels(dataset, forget.classes)
    marked = _of_classes(dataset.train, labels) if labels else _random_share(len(dataset.train), forget)
    hidden = _of_classes(dataset.test, labels)
    before = _of_classes(dataset.test, dataset.forgotten_classes)
    _check_both_sides(marked, forget)
    return ForgetSplit(
        retain=dataset.train.select(~marked),
        forget=dataset.train.select(marked),
        test=dataset.test.select(~hidden & ~before),
        test_forget=dataset.test.select(hidden),
        classes=dataset.classes,
        forget_classes=labels,
        digest=_split_digest(dataset, marked),
        test_before=dataset.test.select(before),
        forgotten_before=dataset.forgotten_classes,
    )


def everything(dataset: Dataset) -> ForgetSplit:
    """The data set as a split of which nothing is to be forgotten; its digest is empty."""
    none = torch.arange(0)
    before = _of_classes(dataset.test, dataset.forgotten_classes)
    return ForgetSplit(
        dataset.train,
        dataset.train.select(none),
        dataset.test.select(~before),
        dataset.test.select(none),
        dataset.classes,
        (),
        "",
        dataset.test.select(before),
        dataset.forgotten_classes,
    )


def stratified(
    labels: Sequence[int], keys: Sequence[str], classes: Sequence[str]
) -> tuple[list[int], list[int]]:
    """Positions of a training and a test part: of each class a fifth, at least one image, is for testing.

    Images are drawn by a hash of seed and key rather than by a random generator, whose stream may change
    between library versions: the same images always fall on the same side.

    Raises:
        UnlearnError: A class with a single image, which would be lost on one side.
    """
    ranked: dict[int, list[int]] = {}
    for position in sorted(
        range(len(keys)), key=lambda i: hashlib.sha256(f"{SPLIT_SEED}/{keys[i]}".encode()).digest()
    ):
        ranked.setdefault(labels[position], []).append(position)
    lost = [classes[label] for label, positions in sorted(ranked.items()) if len(positions) < 2]
    if lost:
        raise UnlearnError(
            f"Only one image of {', '.join(lost)}: it can't be both for training and for testing; "
            "add images, or make train/ and test/ folders."
        )
    test = sorted(
        p for positions in ranked.values() for p in positions[: max(1, round(TEST_SHARE * len(positions)))]
    )
    held_out = set(test)
    return [p for p in range(len(keys)) if p not in held_out], test


def _forget_labels(dataset: Dataset, names: Sequence[str]) -> tuple[int, ...]:
    labels = sorted({class_index(dataset.classes, name) for name in names})
    again = [dataset.classes[k] for k in labels if k in dataset.forgotten_classes]
    if again:
        raise UnlearnError(
            f"The model was made to forget {listed(again)} before, and it stays forgotten; name only classes that are left."
        )
    if len(labels) + len(dataset.forgotten_classes) == len(dataset.classes):
        raise UnlearnError(
            f"All classes are to be forgotten ({', '.join(dataset.classes)}); "
            "leave at least one to be retained."
        )
    return tuple(labels)


def _of_classes(images: ImageSet, labels: tuple[int, ...]) -> torch.Tensor:
    """A mask of the images of these classes."""
    return torch.isin(images.labels, torch.tensor(labels, dtype=torch.int64))


def _random_share(count: int, forget: ForgetSpec) -> torch.Tensor:
    """A mask of a random share of that many images."""
    if not 0 < forget.fraction < 1:
        raise UnlearnError(f"The share to forget can't be {forget.fraction:g}; it must lie between 0 and 1.")
    if forget.seed < 0:
        raise UnlearnError(f"The seed can't be {forget.seed}; it must be 0 or more.")
    share = np.random.default_rng(forget.seed).permutation(count)[: round(forget.fraction * count)]
    marked = torch.zeros(count, dtype=torch.bool)
    marked[torch.from_numpy(share)] = True
    return marked


def _check_both_sides(marked: torch.Tensor, forget: ForgetSpec) -> None:
    what = ", ".join(forget.classes) or f"a share of {forget.fraction:g}"
    if not marked.any() or marked.all():
        side = "retained" if marked.any() else "forgotten"
        raise UnlearnError(f"With {what} of {len(marked):,} training images, no image would be {side}.")


def _split_digest(dataset: Dataset, marked: torch.Tensor) -> str:
    parts = [dataset.train.indices[marked]]
    if dataset.withheld:  # what retraining has to leave out besides makes another split of it
        parts.append(dataset.train.indices[~marked])
    positions = b"|".join(part.numpy().astype("<i8").tobytes() for part in parts)
    return hashlib.sha256(bytes.fromhex(dataset.digest) + positions).hexdigest()
