"""CIFAR-10 and CIFAR-100: the published files through torchvision, or CIFAR-10 as folders of images."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from unlearn_core.data.classes import align_classes
from unlearn_core.data.download import fetch
from unlearn_core.data.files import has_parts
from unlearn_core.data.folder import open_folder
from unlearn_core.data.images import resized
from unlearn_core.data.sets import Dataset, ImageSet, assemble, image_set
from unlearn_core.data.spec import DatasetSpec
from unlearn_core.errors import UnlearnError
from unlearn_core.home import home
from unlearn_core.progress import Progress, Report

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_SIZE = 32


def open_cifar10(spec: DatasetSpec, report: Report, download: bool) -> Dataset:
    """CIFAR-10 from the published files, else from train/CLASS and test/CLASS folders.

    Raises:
        UnlearnError: Neither is there and no download was asked for, or what is there is damaged.
    """
    root = _root(spec)
    if not (root / _source("cifar10").base_folder).exists() and has_parts(root):
        return _from_folders(spec, root, report)
    return _from_files(spec, root, report, download)


def open_cifar100(spec: DatasetSpec, report: Report, download: bool) -> Dataset:
    """CIFAR-100 with its 100 fine classes, from the published files.

    Raises:
        UnlearnError: They aren't there and no download was asked for, or they are damaged.
    """
    return _from_files(spec, _root(spec), report, download)


def _source(name: str) -> Any:
    """Torchvision's class of the data set, which knows its files and their checksums."""
    from torchvision import datasets

    return {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]


def _root(spec: DatasetSpec) -> Path:
    """The folder that holds the published folder; a person may also name the latter."""
    root = Path(spec.root).expanduser() if spec.root else home() / "data"
    return root.parent if root.name == _source(spec.name).base_folder else root


def _from_folders(spec: DatasetSpec, root: Path, report: Report) -> Dataset:
    """CIFAR-10 from image folders, at its own size and in its own class order."""
    as_folder = DatasetSpec("folder", str(root), spec.size or _SIZE)
    dataset = align_classes(open_folder(as_folder, report, False), CIFAR10_CLASSES)
    note = f"Read from folders of images in {root}, not from the published files; their pixels may differ."
    return replace(dataset, spec=spec, notes=(note, *dataset.notes))


def _from_files(spec: DatasetSpec, root: Path, report: Report, download: bool) -> Dataset:
    if download:
        _download(spec.name, root, report)
    report(Progress("reading files", 0, 2))
    classes, train = _part(spec, root, train=True)
    report(Progress("reading files", 1, 2))
    _, test = _part(spec, root, train=False)
    report(Progress("reading files", 2, 2))
    return assemble(spec, classes, train, test)


def _part(spec: DatasetSpec, root: Path, *, train: bool) -> tuple[list[str], ImageSet]:
    """Class names and one part; torchvision opens the files (pickles) only when their checksums are right."""
    try:
        part = _source(spec.name)(root, train=train, download=False)
    except RuntimeError as error:
        raise UnlearnError(_absent(spec.name, root)) from error
    return part.classes, image_set(resized(part.data, spec.size or _SIZE), part.targets)


def _absent(name: str, root: Path) -> str:
    source = _source(name)
    folder = root / source.base_folder
    what = "is incomplete or damaged" if folder.exists() else "isn't there"
    folders = " or folders train/CLASS and test/CLASS" if name == "cifar10" else ""
    return (
        f"{folder} {what}, so {name} can't be opened; name the folder that holds {source.base_folder}"
        f"{folders} as {name}:ROOT, or download it ({_MEGABYTES} MB) by the Download button or by "
        f"python -m unlearn_core datasets --download {name}"
    )


def _download(name: str, root: Path, report: Report) -> None:
    """Fetches and unpacks the published archive unless the files are there already.

    The transfer is ours, for progress and cancelling. What is accepted and unpacked is for torchvision and
    its checksums to say; it fetches nothing when the right archive is in place.
    """
    from torchvision.datasets.utils import check_integrity

    source = _source(name)
    archive = root / source.filename
    if _complete(source, root):
        return
    if not check_integrity(archive, source.tgz_md5):
        fetch(source.url, archive, source.tgz_md5, report)
    report(Progress("unpacking", 0, 1))
    source(root, download=True)
    report(Progress("unpacking", 1, 1))


def _complete(source: Any, root: Path) -> bool:
    """Whether all the published files are there, with the right checksums."""
    from torchvision.datasets.utils import check_integrity

    wanted = source.train_list + source.test_list
    return all(check_integrity(root / source.base_folder / name, md5) for name, md5 in wanted)


_MEGABYTES = 170
