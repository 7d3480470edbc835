"""The laws of splitting."""

import hashlib

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from unlearn_core.data.sets import Dataset, ImageSet, assemble, image_set
from unlearn_core.data.spec import DatasetSpec
from unlearn_core.data.split import ForgetSpec, split_dataset, stratified
from unlearn_core.errors import UnlearnError

CLASSES = ("bird", "cat", "dog", "2")


def dataset(train: list[int], test: list[int]) -> Dataset:
    """Every image's pixels hold its position, training and test apart."""
    parts = []
    for channel, labels in enumerate((train, test)):
        images = torch.zeros(len(labels), 3, 1, 1, dtype=torch.uint8)
        images[:, 0, 0, 0] = torch.arange(len(labels), dtype=torch.uint8)
        images[:, 1] = channel
        parts.append(image_set(images, labels))
    return assemble(DatasetSpec("digits"), CLASSES, *parts)


EVERY = dataset([0, 1, 2, 3] * 5, [0, 1, 2, 3] * 2)
LABELS = st.lists(st.integers(0, 3), min_size=4, max_size=60)


def check_is_of(whole: ImageSet, *parts: ImageSet) -> None:
    """The parts are disjoint, together the whole, each in its order, with images and labels untouched."""
    assert sorted(torch.cat([part.indices for part in parts]).tolist()) == whole.indices.tolist()
    for part in parts:
        assert torch.equal(part.indices, part.indices.sort().values)
        assert torch.equal(part.images, whole.images[part.indices])
        assert torch.equal(part.labels, whole.labels[part.indices])


@given(LABELS, LABELS, st.sets(st.integers(0, 3), min_size=1, max_size=3))
def test_whole_classes(train: list[int], test: list[int], chosen: set[int]) -> None:
    assume(chosen & set(train) and set(train) - chosen)
    data = dataset(train, test)
    split = split_dataset(data, ForgetSpec(classes=tuple(CLASSES[i] for i in chosen)))
    check_is_of(data.train, split.retain, split.forget)
    check_is_of(data.test, split.test, split.test_forget)
    assert set(split.forget.labels.tolist()) | set(split.test_forget.labels.tolist()) <= chosen
    assert not set(split.retain.labels.tolist()) | set(split.test.labels.tolist()) <= chosen
    assert not (set(split.retain.labels.tolist()) | set(split.test.labels.tolist())) & chosen
    assert split.forget_classes == tuple(sorted(chosen))
    assert split.classes == CLASSES


@given(LABELS, st.floats(0.01, 0.99), st.integers(0, 2**31))
def test_random_share(train: list[int], fraction: float, seed: int) -> None:
    wanted = round(fraction * len(train))
    assume(0 < wanted < len(train))
    data = dataset(train, [0, 1, 2, 3])
    split = split_dataset(data, ForgetSpec(fraction=fraction, seed=seed))
    check_is_of(data.train, split.retain, split.forget)
    assert len(split.forget) == wanted
    check_is_of(data.test, split.test)
    assert (len(split.test_forget), split.forget_classes) == (0, ())
    assert split_dataset(data, ForgetSpec(fraction=fraction, seed=seed)).digest == split.digest


def test_seeds_draw_different_shares_and_every_image_gets_its_turn() -> None:
    splits = [split_dataset(EVERY, ForgetSpec(fraction=0.5, seed=seed)) for seed in range(30)]
    assert len({split.digest for split in splits}) == 30
    times = torch.bincount(torch.cat([split.forget.indices for split in splits]), minlength=20)
    # 30 draws at one half each: 4.8 standard deviations around 15.
    assert times.min() >= 2 and times.max() <= 28


def test_names_indices_repeats_and_order_make_no_difference() -> None:
    specs = [("bird", "dog"), ("dog", "bird"), ("0", "dog"), ("bird", "bird", "dog")]
    splits = [split_dataset(EVERY, ForgetSpec(classes=classes)) for classes in specs]
    assert {split.forget_classes for split in splits} == {(0, 2)}
    assert len({split.digest for split in splits}) == 1
    # A class that is called "2" is meant before the class at index 2.
    assert split_dataset(EVERY, ForgetSpec(classes=("2",))).forget_classes == (3,)


def test_digest_is_over_the_data_and_the_forgotten_positions() -> None:
    split = split_dataset(EVERY, ForgetSpec(classes=("cat",)))
    positions = b"".join(i.to_bytes(8, "little") for i in (1, 5, 9, 13, 17))
    assert split.digest == hashlib.sha256(bytes.fromhex(EVERY.digest) + positions).hexdigest()


@pytest.mark.parametrize(
    ("forget", "message"),
    [
        (ForgetSpec(), "classes none and share 0"),
        (ForgetSpec(classes=("cat",), fraction=0.5), "classes cat and share 0.5"),
        (ForgetSpec(classes=("cow",)), "no class 'cow'.*bird, cat, dog, 2"),
        (ForgetSpec(classes=("cat", "9")), "no class '9'"),
        (ForgetSpec(classes=CLASSES), "All classes.*bird, cat, dog, 2.*leave at least one"),
        (ForgetSpec(fraction=1.0), "share to forget can't be 1;"),
        (ForgetSpec(fraction=-0.1), "can't be -0.1"),
        (ForgetSpec(fraction=float("nan")), "can't be nan"),
        (ForgetSpec(fraction=0.001), "share of 0.001 of 20 training images, no image would be forgotten"),
        (ForgetSpec(fraction=0.999), "share of 0.999 of 20 training images, no image would be retained"),
        (ForgetSpec(fraction=0.5, seed=-1), "seed can't be -1"),
    ],
)
def test_refusals(forget: ForgetSpec, message: str) -> None:
    with pytest.raises(UnlearnError, match=message):
        split_dataset(EVERY, forget)


def test_a_class_without_training_images_cannot_be_forgotten() -> None:
    with pytest.raises(UnlearnError, match="With dog of 2 training images, no image would be forgotten"):
        split_dataset(dataset([0, 1], [2]), ForgetSpec(classes=("dog",)))


def test_the_data_set_is_left_as_it_was() -> None:
    data = dataset([0, 1, 2, 3] * 5, [0, 1, 2, 3] * 2)
    split = split_dataset(data, ForgetSpec(classes=("cat",)))
    split.forget.images.zero_()
    split.forget.labels.zero_()
    assert torch.equal(data.train.images, EVERY.train.images)
    assert torch.equal(data.train.labels, EVERY.train.labels)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.randoms(use_true_random=False))
def test_stratified_parts(labels: list[int], dice: object) -> None:
    counts = [labels.count(k) for k in range(4)]
    assume(1 not in counts)
    keys = [f"image {i}" for i in range(len(labels))]
    train, test = stratified(labels, keys, CLASSES)
    assert sorted(train + test) == list(range(len(labels)))
    assert train == sorted(train) and test == sorted(test)
    for k in range(4):
        held = sum(labels[i] == k for i in test)
        assert held == (max(1, round(counts[k] / 5)) if counts[k] else 0)
    # The order in which images are listed decides nothing.
    order = list(range(len(labels)))
    dice.shuffle(order)  # type: ignore[attr-defined]
    _, again = stratified([labels[i] for i in order], [keys[i] for i in order], CLASSES)
    assert sorted(order[i] for i in again) == test


def test_stratified_refuses_a_class_of_one() -> None:
    with pytest.raises(UnlearnError, match="Only one image of cat, 2:"):
        stratified([0, 0, 1, 3], list("abcd"), CLASSES)
