"""Classes by name: finding one, and bringing a data set into a model's order."""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import torch

from unlearn_core.data.sets import Dataset, ImageSet, digest
from unlearn_core.errors import UnlearnError


def class_index(classes: Sequence[str], text: str) -> int:
    """The index of the class that a person names, by its name or its index; a name comes first.

    Raises:
        UnlearnError: Neither a class nor an index of one.
    """
    wanted = normal(text.strip())
    names = [normal(name) for name in classes]
    if wanted in names:
        return names.index(wanted)
    if wanted.isascii() and wanted.isdigit() and int(wanted) < len(classes):
        return int(wanted)
    raise UnlearnError(
        f"There is no class {text!r}; the classes are: {', '.join(classes)} "
        f"(or an index from 0 to {len(classes) - 1})."
    )


def align_classes(dataset: Dataset, model_classes: Sequence[str]) -> Dataset:
    """The same images with labels in the model's class order, matched by name.

    Raises:
        UnlearnError: A class that only one side has, or that has no images in the training or the test set.
    """
    ours, theirs = [[normal(name) for name in names] for names in (dataset.classes, model_classes)]
    if sorted(ours) != sorted(theirs):
        raise UnlearnError(_both_sides(dataset, model_classes))
    _check_none_empty(dataset)
    if ours == theirs:
        return dataset
    order = torch.tensor([theirs.index(name) for name in ours])
    train, test = [
        ImageSet(part.images, order[part.labels], part.indices) for part in (dataset.train, dataset.test)
    ]
    changed = digest(tuple(model_classes), train, test)
    return replace(dataset, classes=tuple(model_classes), train=train, test=test, digest=changed)


def normal(name: str) -> str:
    """The one spelling (Unicode NFC) of names that look the same."""
    return unicodedata.normalize("NFC", name)


def _both_sides(dataset: Dataset, model_classes: Sequence[str]) -> str:
    ours, theirs = [{normal(name) for name in names} for names in (dataset.classes, model_classes)]
    missing = ", ".join(name for name in model_classes if normal(name) not in ours) or "none"
    unknown = ", ".join(name for name in dataset.classes if normal(name) not in theirs) or "none"
    return (
        f"The classes of {dataset.spec} and of the model differ. Missing from the data: {missing}. "
        f"Unknown to the model: {unknown}. The data has: {', '.join(dataset.classes)}. "
        f"The model has: {', '.join(model_classes)}. Give each class of the model a folder with its name, "
        "or open the model with the data that it was trained on."
    )


def _check_none_empty(dataset: Dataset) -> None:
    for part, images in (("training", dataset.train), ("test", dataset.test)):
        counts = torch.bincount(images.labels, minlength=len(dataset.classes)).tolist()
        empty = [name for name, count in zip(dataset.classes, counts, strict=True) if not count]
        if empty:
            raise UnlearnError(
                f"No {part} images of {', '.join(empty)} in {dataset.spec}, whose classes are "
                f"{', '.join(dataset.classes)}; the model knows them all, so add images of each."
            )
