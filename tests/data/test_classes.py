"""Classes by name."""

import unicodedata

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unlearn_core.data.classes import align_classes, class_index
from unlearn_core.data.sets import Dataset, assemble, image_set
from unlearn_core.data.spec import DatasetSpec
from unlearn_core.errors import UnlearnError


def dataset(*classes: str, test: tuple[int, ...] | None = None) -> Dataset:
    """One training and one test image a class, whose pixels are the class's index in `classes`."""
    labels = list(range(len(classes)))
    held = labels if test is None else list(test)
    train, tested = (
        image_set(torch.tensor(which, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 3, 1, 1), which)
        for which in (labels, held)
    )
    return assemble(DatasetSpec("folder", "x"), classes, train, tested)


@pytest.mark.parametrize(("text", "index"), [("cat", 1), (" cat ", 1), ("0", 0), ("2", 2), ("dog", 2)])
def test_a_class_is_a_name_or_an_index(text: str, index: int) -> None:
    assert class_index(["bird", "cat", "dog"], text) == index


def test_a_name_goes_before_an_index() -> None:
    assert class_index(["1", "10", "2"], "2") == 2
    assert class_index(["1", "10", "2"], "10") == 1
    assert class_index(["1", "10", "2"], "0") == 0


def test_accents_match_however_they_are_encoded() -> None:
    assert class_index(["tea", unicodedata.normalize("NFD", "caf\u00e9")], "caf\u00e9") == 1


@pytest.mark.parametrize("text", ["cow", "3", "-1", "1.0", "", "\u0663", "\u00b2"])
def test_unknown_class_lists_the_classes(text: str) -> None:
    with pytest.raises(UnlearnError, match="no class .*bird, cat, dog.*0 to 2") as caught:
        class_index(["bird", "cat", "dog"], text)
    assert repr(text) in str(caught.value)


@given(st.permutations(["a", "b", "10", "2"]))
def test_aligned_labels_name_the_same_class_as_before(order: list[str]) -> None:
    before = dataset("a", "b", "10", "2")
    after = align_classes(before, order)
    assert after.classes == tuple(order)
    for old, new in ((before.train, after.train), (before.test, after.test)):
        assert torch.equal(new.images, old.images)
        assert torch.equal(new.indices, old.indices)
        assert [order[i] for i in new.labels] == [before.classes[i] for i in old.labels]
    assert (after.digest == before.digest) == (order == ["a", "b", "10", "2"])
    assert align_classes(after, before.classes).digest == before.digest


def test_differing_classes_list_both_sides() -> None:
    with pytest.raises(UnlearnError) as caught:
        align_classes(dataset("cat", "cow", "dog"), ("bird", "cat", "dog", "emu"))
    message = str(caught.value)
    assert "Missing from the data: bird, emu." in message
    assert "Unknown to the model: cow." in message
    assert "The data has: cat, cow, dog." in message
    assert "The model has: bird, cat, dog, emu." in message


def test_a_missing_class_is_refused_rather_than_shifting_the_others() -> None:
    with pytest.raises(UnlearnError, match="Missing from the data: c3. Unknown to the model: none."):
        align_classes(dataset("c0", "c1", "c2", "c4"), ("c0", "c1", "c2", "c3", "c4"))


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(UnlearnError, match="Missing from the data: none. Unknown to the model: b."):
        align_classes(dataset("a", "b"), ("a",))


def test_an_empty_class_is_refused_by_name() -> None:
    with pytest.raises(
        UnlearnError, match="No test images of b, d in folder:x, whose classes are a, b, c, d"
    ):
        align_classes(dataset("a", "b", "c", "d", test=(0, 2)), ("d", "c", "b", "a"))


def test_differently_encoded_names_are_one_class() -> None:
    split = unicodedata.normalize("NFD", "caf\u00e9")
    aligned = align_classes(dataset("caf\u00e9", "tea"), ("tea", split))
    assert aligned.classes == ("tea", split)
    assert aligned.train.labels.tolist() == [1, 0]
