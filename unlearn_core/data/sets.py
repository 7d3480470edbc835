"""What a data set is: images held as uint8 tensors, and a digest of the content."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64, Shaped, UInt8
from torch import Tensor

from unlearn_core.data.spec import DatasetSpec
from unlearn_core.errors import UnlearnError


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Some images with their labels.

    Attributes:
        images: RGB; grey images have three equal channels.
        labels: Indices into the data set's classes.
        indices: Positions in the source's training or test order, so that a subset knows where it came from.
    """

    images: UInt8[Tensor, "n 3 H W"]
    labels: Int64[Tensor, " n"]
    indices: Int64[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, which: Shaped[Tensor, " m"]) -> "ImageSet":
        """The images at these positions of this set, or where this mask is true."""
        return ImageSet(self.images[which], self.labels[which], self.indices[which])


@dataclass(frozen=True, eq=False)
class Dataset:
    """An opened data set.

    Attributes:
        spec: What was asked for.
        classes: Class names in the order of the labels.
        train: The training images.
        test: The test images.
        digest: SHA-256 (hexadecimal) over classes, images and labels.
        notes: Sentences that a person should know: how it was split and resized, what was left
            out, what was found twice.
        forgotten_classes: Labels that the model in use was made to forget before: none of their images is in `train`.
        withheld: How many images are not in `train`, as that model was made to forget them before.
    """

    spec: DatasetSpec
    classes: tuple[str, ...]
    train: ImageSet
    test: ImageSet
    digest: str
    notes: tuple[str, ...]
    forgotten_classes: tuple[int, ...] = ()
    withheld: int = 0


def image_set(images: UInt8[Tensor, "n 3 H W"], labels: Sequence[int]) -> ImageSet:
    """A whole training or test part, numbered in its own order."""
    return ImageSet(images, torch.tensor(labels, dtype=torch.int64), torch.arange(len(labels)))


def assemble(
    spec: DatasetSpec, classes: Sequence[str], train: ImageSet, test: ImageSet, notes: Sequence[str] = ()
) -> Dataset:
    """The data set of these parts, with its digest and a note on images that occur twice.

    Raises:
        UnlearnError: A label that names no class.
    """
    for name, part in (("training", train), ("test", test)):
        _check_labels(part, len(classes), f"{name} set of {spec}")
    return Dataset(
        spec, tuple(classes), train, test, digest(classes, train, test), (*notes, *_repeats(train, test))
    )


def digest(classes: Sequence[str], train: ImageSet, test: ImageSet) -> str:
    """SHA-256 (hexadecimal) over class names, images and labels of both parts, in their order."""
    shapes = [list(part.images.shape) for part in (train, test)]
    content = hashlib.sha256(json.dumps([list(classes), shapes]).encode())
    for part in (train, test):
        content.update(part.images.contiguous().numpy().data)
        content.update(part.labels.numpy().astype("<i8").tobytes())
    return content.hexdigest()


def _check_labels(part: ImageSet, num_classes: int, where: str) -> None:
    wrong = part.labels[(part.labels < 0) | (part.labels >= num_classes)]
    if len(wrong):
        raise UnlearnError(
            f"The {where} has {len(wrong)} labels outside 0..{num_classes - 1}, for example {int(wrong[0])}; "
            "every label must be the index of a class."
        )


def _repeats(train: ImageSet, test: ImageSet) -> list[str]:
    """Notes on identical images: in both parts, and under several classes."""
    classes_of: dict[bytes, set[int]] = {}
    train_prints, test_prints = hashes_of(train), hashes_of(test)
    labels = [*train.labels.tolist(), *test.labels.tolist()]
    for print_, label in zip(train_prints + test_prints, labels, strict=True):
        classes_of.setdefault(print_, set()).add(label)
    known = set(train_prints)
    leaked = sum(print_ in known for print_ in test_prints)
    ambiguous = sum(len(labels) > 1 for labels in classes_of.values())
    return [
        *([f"{leaked:,} test image{_is_are(leaked)} also in the training set."] if leaked else []),
        *([f"{ambiguous:,} image{_is_are(ambiguous)} in more than one class."] if ambiguous else []),
    ]


def _is_are(count: int) -> str:
    return " is" if count == 1 else "s are"


def hashes_of(part: ImageSet) -> list[bytes]:
    """A hash of each image's pixels, 16 bytes, (N,)."""
    rows = part.images.contiguous().numpy()
    return [hashlib.blake2b(row, digest_size=16).digest() for row in rows]
