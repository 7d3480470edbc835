"""Finding a folder's images: one folder a class, perhaps below train/ and test/."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unlearn_core.data.classes import normal
from unlearn_core.errors import UnlearnError

LeftOut = defaultdict[str, set[Path]]
"""What was not read and why; sets, as a folder may be looked into twice."""

_JUNK = {"__macosx", "thumbs.db", "desktop.ini"}
_LAYOUT = "put the images into one folder a class, or into train/CLASS and test/CLASS"


@dataclass(frozen=True)
class ImageFile:
    """A file that should be an image.

    Attributes:
        path: Where it lies.
        name: Path below the data set's folder with forward slashes, fit to be shown.
        label: Index of its class.
    """

    path: Path
    name: str
    label: int


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, sorted by name.

    Attributes:
        classes: Folder names, sorted.
        train: Files of the training part; all of them where there is no test part.
        test: Files of the test part; empty where there is none.
        notes: Sentences about what was left out.
    """

    classes: tuple[str, ...]
    train: tuple[ImageFile, ...]
    test: tuple[ImageFile, ...]
    notes: tuple[str, ...]


def list_images(root: Path) -> Listing:
    """The image files below a folder; links are not followed, what systems leave behind is ignored.

    Raises:
        UnlearnError: No such folder, a layout that isn't understood, fewer than two classes, an empty class,
            names that can't be told apart, or a class that only one of train/ and test/ has.
    """
    left_out: LeftOut = defaultdict(set)
    parts = _parts(root, left_out)
    train_folders = _class_folders(root, parts["train"], left_out)
    test_folders = _class_folders(root, parts["test"], left_out) if "test" in parts else {}
    if test_folders:
        _check_same(root, train_folders, test_folders)
    classes = tuple(sorted(train_folders))
    train, test = [
        tuple(
            file
            for label, name in enumerate(classes)
            if name in folders
            for file in _files(root, folders[name], label, left_out)
        )
        for folders in (train_folders, test_folders)
    ]
    return Listing(classes, train, test, tuple(_notes(left_out)))


def has_parts(root: Path) -> bool:
    """Whether a folder has a train/ and a test/ (or val/) folder with folders in them."""
    return root.is_dir() and "test" in _parts(root, defaultdict(set))


def _parts(root: Path, left_out: LeftOut) -> Mapping[str, Path]:
    """The folders `train` and `test`; the whole folder is `train` when it isn't divided."""
    folders, files = _entries(root, left_out)
    # A class may be called "train" (CIFAR-100 has one): a part holds folders, a class holds files.
    parts = {
        path.name.casefold(): path
        for path in folders
        if path.name.casefold() in ("train", "test", "val") and _entries(path, left_out)[0]
    }
    if not parts:
        left_out["files beside the class folders"].update(files)
        return {"train": root}
    test = "test" if "test" in parts else "val"
    if "train" not in parts or test not in parts:
        missing = "test" if "train" in parts else "train"
        raise UnlearnError(
            f"{root} has a folder {', '.join(sorted(parts))} but no {missing} folder with class folders"
            f"{_links(left_out)}; {_LAYOUT}."
        )
    divided = {"train": parts["train"], "test": parts[test]}
    left_out["entries beside the train and test folders"].update({*folders, *files} - {*divided.values()})
    return divided


def _class_folders(root: Path, part: Path, left_out: LeftOut) -> dict[str, Path]:
    """Class name -> folder."""
    folders, files = _entries(part, left_out)
    if part != root:
        left_out["files beside the class folders"].update(files)
    if len(folders) < 2:
        content = f"only the class folder {folders[0].name!r}" if folders else "no class folder"
        raise UnlearnError(
            f"{part} has {content}{_links(left_out)}; at least two classes are needed: {_LAYOUT}."
        )
    seen: dict[str, Path] = {}
    for folder in folders:
        _check_printable(folder)
        twin = seen.setdefault(normal(normal(folder.name).casefold()), folder)
        if twin is not folder:
            raise UnlearnError(
                f"The class folders {twin.name!r} and {folder.name!r} in {part} can't be told apart "
                "(their names differ in case or accent encoding only); rename or merge them."
            )
    return {normal(folder.name): folder for folder in folders}


def _check_printable(folder: Path) -> None:
    if not folder.name.isprintable():
        raise UnlearnError(
            f"The class folder {folder.name!a} in {folder.parent} has a name that can't be shown; rename it."
        )


def _check_same(root: Path, train: Mapping[str, Path], test: Mapping[str, Path]) -> None:
    only_train, only_test = sorted(set(train) - set(test)), sorted(set(test) - set(train))
    if only_train or only_test:
        raise UnlearnError(
            f"The classes of the training and the test folder in {root} differ: only for training: "
            f"{', '.join(only_train) or 'none'}; only for testing: {', '.join(only_test) or 'none'}. "
            "Give each class a folder in both."
        )


def _files(root: Path, folder: Path, label: int, left_out: LeftOut) -> list[ImageFile]:
    folders, files = _entries(folder, left_out)
    if folders:
        raise UnlearnError(
            f"The class folder {_shown(root, folder)} in {root} holds the folder {folders[0].name!r}; "
            "put the images directly into the folder of their class."
        )
    if not files:
        raise UnlearnError(
            f"The class folder {_shown(root, folder)} in {root} holds no images{_links(left_out)}; "
            "add some or remove it."
        )
    return [ImageFile(path, _shown(root, path), label) for path in files]


def _entries(folder: Path, left_out: LeftOut) -> tuple[list[Path], list[Path]]:
    """Folders and files directly in a folder, each sorted by name."""
    folders: list[Path] = []
    files: list[Path] = []
    try:
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or path.name.casefold() in _JUNK:
                left_out["system files"].add(path)
            elif path.is_symlink():
                left_out["links"].add(path)
            else:
                (folders if path.is_dir() else files).append(path)
    except OSError as error:
        raise UnlearnError(
            f"The folder {folder} can't be read ({error.strerror}); check the path."
        ) from error
    return folders, files


def _shown(root: Path, path: Path) -> str:
    """Path below the root, fit for any terminal."""
    return path.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()


def _links(left_out: LeftOut) -> str:
    return f" (links are not followed: {len(left_out['links'])})" if left_out["links"] else ""


def _notes(left_out: LeftOut) -> Sequence[str]:
    return [f"Not read: {len(paths):,} {what}." for what, paths in sorted(left_out.items()) if paths]
