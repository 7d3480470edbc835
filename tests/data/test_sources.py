"""Typing a data set's name, and opening it by the registry."""

import pytest

from unlearn_core.data.sources import DATASETS, open_dataset, parse_dataset
from unlearn_core.data.spec import DatasetSpec
from unlearn_core.errors import UnlearnError


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("digits", DatasetSpec("digits")),
        ("cifar10", DatasetSpec("cifar10")),
        ("cifar10:/data/c", DatasetSpec("cifar10", "/data/c")),
        ("cifar100:here", DatasetSpec("cifar100", "here")),
        ("folder:/a b/c:d", DatasetSpec("folder", "/a b/c:d")),
        (r"folder:C:\photos", DatasetSpec("folder", r"C:\photos")),
    ],
)
def test_parse_and_str_are_inverse(text: str, spec: DatasetSpec) -> None:
    assert parse_dataset(text) == spec
    assert str(spec) == text
    assert parse_dataset(f" {text}\n", 16) == DatasetSpec(spec.name, spec.root, 16)


@pytest.mark.parametrize(
    "text", ["", "mnist", "Digits", "mnist:/a", "folder", "folder:", "cifar10:", "digits:/a"]
)
def test_what_cannot_be_meant_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UnlearnError, match="write digits, cifar10, cifar10:ROOT.*folder:PATH") as caught:
        parse_dataset(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("size", [-1, 7, 1025])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(UnlearnError, match=f"can't be {size} pixels wide; choose 8 to 1024"):
        parse_dataset("digits", size)
    with pytest.raises(UnlearnError, match="pixels wide"):
        open_dataset(DatasetSpec("digits", size=size))


def test_a_spec_made_by_hand_is_checked_when_opened() -> None:
    with pytest.raises(UnlearnError, match="no data set 'mnist'"):
        open_dataset(DatasetSpec("mnist"))
    with pytest.raises(UnlearnError, match="'folder' names no folder"):
        open_dataset(DatasetSpec("folder"))


def test_entries_are_complete() -> None:
    assert list(DATASETS) == ["digits", "cifar10", "cifar100", "folder"]
    for name, source in DATASETS.items():
        assert source.name == name
        assert source.label and source.about.endswith(".") and source.about.count(".") <= 2
    assert [name for name, source in DATASETS.items() if source.needs_root] == ["folder"]
    assert [name for name, source in DATASETS.items() if not source.takes_root] == ["digits"]
