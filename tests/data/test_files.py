"""Folder layouts: what is found, what is left out, what is refused."""

import unicodedata
from pathlib import Path

import pytest

from unlearn_core.data.files import Listing, has_parts, list_images
from unlearn_core.errors import UnlearnError


def tree(root: Path, *files: str) -> Path:
    """Empty files; a name that ends in a slash is an empty folder."""
    for name in files:
        path = root / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()
    return root


def found(listing: Listing) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    return [(f.name, f.label) for f in listing.train], [(f.name, f.label) for f in listing.test]


def test_flat_folder_is_all_training_and_classes_are_sorted(tmp_path: Path) -> None:
    listing = list_images(tree(tmp_path, "b/2.png", "b/1.png", "a/9.jpg", "10/x", "2/x"))
    assert listing.classes == ("10", "2", "a", "b")
    assert found(listing) == ([("10/x", 0), ("2/x", 1), ("a/9.jpg", 2), ("b/1.png", 3), ("b/2.png", 3)], [])
    assert listing.notes == ()


@pytest.mark.parametrize("test", ["test", "val", "Test"])
def test_train_and_test_folders(tmp_path: Path, test: str) -> None:
    root = tree(tmp_path, "train/a/1", "train/b/1", f"{test}/a/2", f"{test}/b/3")
    assert found(list_images(root)) == (
        [("train/a/1", 0), ("train/b/1", 1)],
        [(f"{test}/a/2", 0), (f"{test}/b/3", 1)],
    )
    assert has_parts(root)


def test_test_goes_before_val_and_the_rest_is_noted(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/a/1", "train/b/1", "test/a/2", "test/b/3", "val/a/4", "README.md")
    listing = list_images(root)
    assert [f.name for f in listing.test] == ["test/a/2", "test/b/3"]
    assert listing.notes == ("Not read: 2 entries beside the train and test folders.",)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    root = tree(tmp_path, "bus/1", "train/1", "test/1")
    assert list_images(root).classes == ("bus", "test", "train")
    assert not has_parts(root)
    assert not has_parts(tmp_path / "nowhere")


def test_system_files_are_left_out_and_counted(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        "a/1.png",
        "b/1.png",
        "a/Thumbs.db",
        "a/._1.png",
        "b/.DS_Store",
        "__MACOSX/a/1.png",
        "labels.csv",
    )
    tree(tmp_path, ".ipynb_checkpoints/1.png", "b/desktop.ini")
    listing = list_images(root)
    assert [f.name for f in listing.train] == ["a/1.png", "b/1.png"]
    assert listing.notes == ("Not read: 1 files beside the class folders.", "Not read: 6 system files.")


def test_links_are_not_followed(tmp_path: Path) -> None:
    root = tree(tmp_path / "data", "a/1.png", "b/1.png")
    tree(tmp_path / "elsewhere", "x.png")
    (root / "a" / "link.png").symlink_to(tmp_path / "elsewhere" / "x.png")
    (root / "a" / "loop").symlink_to(root)
    (root / "c").symlink_to(tmp_path / "elsewhere")
    (root / "d").symlink_to("/")
    listing = list_images(root)
    assert listing.classes == ("a", "b")
    assert len(listing.train) == 2
    assert listing.notes == ("Not read: 4 links.",)


def test_a_folder_of_links_is_told_why(tmp_path: Path) -> None:
    root = tree(tmp_path / "data", "b/1.png")
    (root / "a").symlink_to(root / "b")
    with pytest.raises(UnlearnError, match=r"only the class folder 'b' \(links are not followed: 1\)"):
        list_images(root)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no class folder.*at least two classes"),
        (["1.png", "2.png"], "no class folder.*one folder a class"),
        (["a/1.png"], "only the class folder 'a'.*at least two classes"),
        (["a/1.png", "b/"], r"class folder b .*holds no images"),
        (["a/1.png", "b/.DS_Store"], r"class folder b .*holds no images"),
        (["a/1.png", "b/c/1.png"], "class folder b .*holds the folder 'c'"),
        (["train/a/1", "train/b/1"], "has a folder train but no test folder"),
        (["test/a/1", "test/b/1"], "has a folder test but no train folder"),
        (
            ["train/a/1", "train/b/1", "train/c/1", "test/a/1", "test/b/1", "test/d/1"],
            "training: c;.*testing: d",
        ),
        (["train/a/1", "train/b/1", "test/a/1", "test/b/"], "class folder test/b .*holds no images"),
        (["train/a/1", "train/b/1", "test/a/1"], "only the class folder 'a'"),
        (["Cat/1", "cat/1"], "'Cat' and 'cat'.*can't be told apart"),
        (["stra\u00dfe/1", "STRASSE/1"], "can't be told apart"),
        (["a\nb/1", "c/1"], r"'a\\nb'.*can't be shown"),
    ],
)
def test_refusals(tmp_path: Path, files: list[str], message: str) -> None:
    with pytest.raises(UnlearnError, match=message) as caught:
        list_images(tree(tmp_path, *files))
    assert str(tmp_path) in str(caught.value)


def test_unicode_equal_names_are_refused_and_names_are_composed(tmp_path: Path) -> None:
    composed, split = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    root = tree(tmp_path / "one", f"{split}/1", "tea/1")
    assert list_images(root).classes == (composed, "tea")
    with pytest.raises(UnlearnError, match="can't be told apart"):
        list_images(tree(tmp_path / "two", f"{split}/1", f"{composed}/1"))


def test_composed_and_split_names_are_one_class_in_train_and_test(tmp_path: Path) -> None:
    composed, split = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    listing = list_images(
        tree(tmp_path, f"train/{split}/1", f"test/{composed}/1", "train/tea/1", "test/tea/1")
    )
    assert listing.classes == (composed, "tea")
    assert [f.label for f in listing.test] == [0, 1]


def test_missing_folder_and_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnlearnError, match="nowhere can't be read"):
        list_images(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(UnlearnError, match="file can't be read"):
        list_images(tmp_path / "file")


def test_undecodable_file_names_can_be_shown(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / b"\xff.png".decode("utf-8", "surrogateescape")).touch()
    names = [file.name for file in list_images(tmp_path).train]
    assert "\n".join(names).encode()
    assert len(set(names)) == 3
