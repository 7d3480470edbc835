"""Leaving out of training what a model was made to forget, and naming what it forgets next."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from unlearn_core.data.forgotten import Forgotten
from unlearn_core.data.sets import Dataset, ImageSet, hashes_of
from unlearn_core.data.split import ForgetSplit


def forgotten_in(split: ForgetSplit) -> Forgotten:
    """What a model that was unlearned on this split has forgotten by it: whole classes, or images one by one."""
    if split.forget_classes:
        return Forgotten(tuple(split.classes[k] for k in split.forget_classes))
    return Forgotten(images=frozenset(hashes_of(split.forget)))


def leave_out(dataset: Dataset, forgotten: Forgotten) -> Dataset:
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


def marks(images: ImageSet, forgotten: Forgotten, classes: Sequence[str]) -> Tensor:
    """Which images were forgotten, by class or by hash: a mask (N,)."""
    indices = torch.tensor(forgotten.indices(classes), dtype=torch.int64)
    by_class = torch.isin(images.labels, indices)
    if not forgotten.images:
        return by_class
    by_hash = [h in forgotten.images for h in hashes_of(images)]
    return by_class | torch.tensor(by_hash, dtype=torch.bool)
