"""Opening folders of images: content, split, cache, cancelling, and refusals that name the files."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unlearn_core.data import folder
from unlearn_core.data.sets import Dataset
from unlearn_core.data.sources import open_dataset
from unlearn_core.data.spec import DatasetSpec
from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, RunCancelled, silent

MakeFolder = Callable[..., Path]


def opened(root: Path, size: int = 0) -> Dataset:
    return open_dataset(DatasetSpec("folder", str(root), size))


def stages(root: Path) -> dict[str, list[Progress]]:
    """All that is reported while a folder is opened."""
    heard: dict[str, list[Progress]] = {}
    open_dataset(DatasetSpec("folder", str(root)), lambda p: heard.setdefault(p.stage, []).append(p))
    return heard


def test_images_and_labels_are_those_of_the_files(make_folder: MakeFolder) -> None:
    root = make_folder({"train/b": 3, "train/a": 2, "test/a": 1, "test/b": 2})
    dataset = opened(root)
    assert dataset.classes == ("a", "b")
    assert dataset.train.labels.tolist() == [0, 0, 1, 1, 1]
    assert dataset.test.labels.tolist() == [0, 1, 1]
    assert dataset.train.indices.tolist() == [0, 1, 2, 3, 4]
    names = ["a/0", "a/1", "b/0", "b/1", "b/2"]
    for name, image in zip(names, dataset.train.images, strict=True):
        assert np.array_equal(image.permute(1, 2, 0), np.asarray(Image.open(root / f"train/{name}.png")))
    assert np.array_equal(
        dataset.test.images[2].permute(1, 2, 0), np.asarray(Image.open(root / "test/b/1.png"))
    )


def test_split_holds_out_a_fifth_of_each_class_for_good(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 10, "b": 5, "c": 2})
    dataset = opened(root)
    assert torch.bincount(dataset.test.labels).tolist() == [2, 1, 1]
    assert torch.bincount(dataset.train.labels).tolist() == [8, 4, 1]
    assert any("20 % of each class" in note for note in dataset.notes)
    moved = root.rename(root.with_name("moved"))
    assert opened(moved).digest == dataset.digest
    # The same images stay on their side when others come in.
    make_folder({"d": 4}, name="moved")
    before = {image.numpy().tobytes() for image in dataset.test.images}
    assert before <= {image.numpy().tobytes() for image in opened(moved).test.images}


def test_a_class_of_one_image_would_be_lost(make_folder: MakeFolder) -> None:
    with pytest.raises(UnlearnError, match="Only one image of b"):
        opened(make_folder({"a": 5, "b": 1}))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(12, 12), (12, 12)], 12),
        ([(64, 64), (64, 64)], 64),
        ([(12, 12), (16, 16)], 64),
        ([(65, 65), (65, 65)], 64),
        ([(12, 20), (12, 20)], 64),
        ([(1, 1), (1, 1)], 64),
    ],
)
def test_size_is_the_common_one_when_small_and_square(
    make_folder: MakeFolder, sizes: list[tuple[int, int]], expected: int
) -> None:
    for name, size in zip("ab", sizes, strict=True):
        root = make_folder({name: 2}, size=size)
    dataset = opened(root)
    assert dataset.train.images.shape == (2, 3, expected, expected)
    assert any(f"{expected} x {expected}" in note for note in dataset.notes)


def test_asked_size_wins(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 2, "b": 2})
    assert opened(root, 24).train.images.shape == (2, 3, 24, 24)
    assert opened(root, 24).digest != opened(root).digest


def test_second_opening_decodes_nothing_and_gives_the_same(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 4, "b": 4})
    first = opened(root)
    heard = stages(root)
    assert list(heard) == ["reading files"]
    assert [(p.done, p.total) for p in heard["reading files"]] == [(i, 8) for i in range(1, 9)]
    again = opened(root)
    assert again.digest == first.digest
    assert torch.equal(again.train.images, first.train.images)


def test_first_opening_reports_every_file_in_every_stage(make_folder: MakeFolder) -> None:
    heard = stages(make_folder({"a": 4, "b": 4}))
    assert list(heard) == ["reading files", "checking images", "decoding images"]
    assert all([p.done for p in steps] == list(range(1, 9)) for steps in heard.values())


def test_changed_content_is_seen_even_with_size_and_time_unchanged(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 4, "b": 4})
    path = root / "a" / "0.png"
    pixels = np.asarray(Image.open(path)).copy()
    before, times = opened(root), path.stat()
    Image.fromarray(pixels[::-1]).save(path)
    path.write_bytes(path.read_bytes().ljust(times.st_size, b"\0"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert opened(root).digest != before.digest


def test_renaming_a_class_is_another_data_set(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 4, "b": 4})
    before = opened(root)
    (root / "b").rename(root / "c")
    assert opened(root).digest != before.digest


def test_damaged_cache_is_decoded_again(make_folder: MakeFolder, own_home: Path) -> None:
    root = make_folder({"a": 4, "b": 4})
    before = opened(root)
    (kept,) = (own_home / "cache").iterdir()
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    assert opened(root).digest == before.digest
    kept.write_bytes(content[:50])
    assert opened(root).digest == before.digest


def test_unusable_files_are_all_counted_and_five_named(make_folder: MakeFolder) -> None:
    root = make_folder({"train/a": 3, "train/b": 3, "test/a": 3, "test/b": 3})
    for i in range(6):
        (root / "train/b" / f"bad{i}.png").write_bytes(b"<html>")
    whole = (root / "test/a/0.png").read_bytes()
    (root / "test/a/0.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnlearnError, match="6 of 18 files can't be used") as caught:
        opened(root)
    for i in range(5):
        assert f"train/b/bad{i}.png is not an image" in str(caught.value)
    assert "bad5" not in str(caught.value)
    assert "And 1 more." in str(caught.value)
    for path in (root / "train/b").glob("bad*"):
        path.unlink()
    with pytest.raises(UnlearnError, match="1 of 12 files can't be used. test/a/0.png is broken"):
        opened(root)


def test_nothing_is_cached_when_a_file_is_refused(make_folder: MakeFolder, own_home: Path) -> None:
    root = make_folder({"a": 3, "b": 3})
    (root / "a/0.png").write_bytes((root / "a/0.png").read_bytes()[:60])
    with pytest.raises(UnlearnError, match="broken"):
        opened(root, 12)
    assert not (own_home / "cache").exists()


def test_file_changed_between_hash_and_decoding(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3})

    def meddle(progress: Progress) -> None:
        if progress.stage == "decoding images" and progress.done == 1:
            (root / "b/2.png").write_bytes((root / "b/1.png").read_bytes())

    with pytest.raises(UnlearnError, match="b/2.png changed while it was being read"):
        open_dataset(DatasetSpec("folder", str(root)), meddle)


def test_file_removed_while_opening(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3})

    def meddle(progress: Progress) -> None:
        if progress.done == 1:
            (root / "b/2.png").unlink(missing_ok=True)

    with pytest.raises(UnlearnError, match="b/2.png can't be read"):
        open_dataset(DatasetSpec("folder", str(root)), meddle)


@pytest.mark.parametrize("stage", ["reading files", "checking images", "decoding images"])
def test_cancelling_stops_at_once_in_every_stage(make_folder: MakeFolder, own_home: Path, stage: str) -> None:
    heard: list[Progress] = []

    def cancel(progress: Progress) -> None:
        heard.append(progress)
        if progress.stage == stage and progress.done == 3:
            raise RunCancelled

    with pytest.raises(RunCancelled):
        open_dataset(DatasetSpec("folder", str(make_folder({"a": 4, "b": 4}))), cancel)
    assert (heard[-1].stage, heard[-1].done) == (stage, 3)
    assert not (own_home / "cache").exists()


def test_too_much_for_the_memory_is_said_before_decoding(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "MAX_DECODED_BYTES", 8 * 3 * 12 * 12 - 1)
    with pytest.raises(UnlearnError, match="8 images of 12 x 12 pixels need more than"):
        opened(make_folder({"a": 4, "b": 4}))


def test_duplicates_between_parts_and_classes_are_noted(make_folder: MakeFolder) -> None:
    root = make_folder({"train/a": 4, "train/b": 4, "test/a": 3, "test/b": 3})
    for i in range(2):
        (root / "test/a" / f"{i}.png").write_bytes((root / "train/a" / f"{i}.png").read_bytes())
    # The same pixels in another file are the same image.
    Image.open(root / "train/b/0.png").save(root / "test/b/0.bmp")
    (root / "train/b/again.png").write_bytes((root / "train/a/3.png").read_bytes())
    notes = opened(root).notes
    assert "3 test images are also in the training set." in notes
    assert "1 image is in more than one class." in notes


def test_what_was_left_out_is_noted(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3})
    (root / "a/Thumbs.db").touch()
    assert "Not read: 1 system files." in opened(root).notes


def test_tilde_is_the_home_folder(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_folder({"a": 3, "b": 3})
    monkeypatch.setenv("HOME", str(root.parent))
    found = folder.open_folder(DatasetSpec("folder", f"~/{root.name}"), silent, False)
    assert found.digest == opened(root).digest
