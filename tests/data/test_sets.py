"""Image sets and the digest of a data set."""

import hashlib
import json

import pytest
import torch

from unlearn_core.data.sets import Dataset, ImageSet, assemble, image_set
from unlearn_core.data.spec import DatasetSpec
from unlearn_core.errors import UnlearnError

CLASSES = ("a", "b")


def part(*labels: int, start: int = 0) -> ImageSet:
    """Images that differ from one another, the first with pixels of value `start`."""
    images = (
        torch.arange(start, start + len(labels), dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    )
    return image_set(images, list(labels))


def made(train: ImageSet, test: ImageSet, classes: tuple[str, ...] = CLASSES) -> Dataset:
    return assemble(DatasetSpec("folder", "x"), classes, train, test, ["said"])


def test_select_by_positions_and_by_mask_keeps_the_origin() -> None:
    images = part(0, 1, 1, 0)
    assert len(images) == 4
    for which in (torch.tensor([3, 1]), torch.tensor([False, True, False, True])):
        chosen = images.select(which)
        order = which if which.dtype == torch.int64 else which.nonzero()[:, 0]
        assert torch.equal(chosen.indices, order)
        assert torch.equal(chosen.images, images.images[order])
        assert torch.equal(chosen.labels, images.labels[order])
    assert chosen.select(torch.tensor([1])).indices.tolist() == [3]
    assert len(images.select(torch.tensor([], dtype=torch.int64))) == 0


def test_digest_is_sha256_over_classes_shapes_images_and_labels() -> None:
    dataset = made(part(0, 1), part(1, start=9))
    content = json.dumps([["a", "b"], [[2, 3, 2, 2], [1, 3, 2, 2]]]).encode()
    content += bytes([0] * 12 + [1] * 12) + bytes(8) + (1).to_bytes(8, "little")
    content += bytes([9] * 12) + (1).to_bytes(8, "little")
    assert dataset.digest == hashlib.sha256(content).hexdigest()


def test_any_change_of_the_content_changes_the_digest() -> None:
    sets = [
        made(part(0, 1), part(1, start=9)),
        made(part(1, 0), part(1, start=9)),
        made(part(0, 1), part(0, start=9)),
        made(part(0, 1), part(1, start=8)),
        made(part(0, 1, start=1), part(1, start=9)),
        made(part(0, 1), part(1, start=9), ("a", "c")),
        made(part(0, 1), part(1, start=9), ("b", "a")),
    ]
    assert len({dataset.digest for dataset in sets}) == len(sets)


def test_digest_is_of_the_content_not_of_the_memory_layout() -> None:
    train = part(0, 1)
    turned = ImageSet(train.images.contiguous(memory_format=torch.channels_last), train.labels, train.indices)
    assert made(turned, part(1, start=9)).digest == made(train, part(1, start=9)).digest


@pytest.mark.parametrize("label", [2, -1, -100])
@pytest.mark.parametrize("where", ["training", "test"])
def test_labels_that_name_no_class_are_refused(label: int, where: str) -> None:
    sets = [part(0, label), part(0, 1)]
    with pytest.raises(
        UnlearnError, match=rf"{where} set of folder:x has 1 labels outside 0\.\.1.* {label};"
    ):
        made(*(sets if where == "training" else sets[::-1]))


def test_repeated_images_are_counted() -> None:
    assert made(part(0, 1), part(1, start=9)).notes == ("said",)
    assert made(part(0, 1), part(1, start=1)).notes == ("said", "1 test image is also in the training set.")
    notes = made(part(0, 1, 0), part(0, 1, 1)).notes
    assert notes == (
        "said",
        "3 test images are also in the training set.",
        "1 image is in more than one class.",
    )


def test_spec_reads_as_it_is_typed() -> None:
    assert str(DatasetSpec("digits")) == "digits"
    assert str(DatasetSpec("folder", "/a:b")) == "folder:/a:b"
