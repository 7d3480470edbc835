"""The data sets that can be opened, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from unlearn_core.data.cifar import open_cifar10, open_cifar100
from unlearn_core.data.digits import open_digits
from unlearn_core.data.folder import open_folder
from unlearn_core.data.sets import Dataset, DatasetSpec
from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Report, silent


@dataclass(frozen=True)
class DatasetSource:
    """An entry of `DATASETS`.

    Attributes:
        name: What a person types.
        label: What a page shows.
        about: One sentence.
        takes_root: Whether a folder may be named.
        needs_root: Whether a folder must be named.
        open: Opens it: specification, report, and whether a download is allowed.
    """

    name: str
    label: str
    about: str
    takes_root: bool
    needs_root: bool
    open: Callable[[DatasetSpec, Report, bool], Dataset]


_ALL = (
    DatasetSource(
        "digits",
        "Handwritten digits",
        "Scikit-learn's 1,797 real handwritten digits in 10 classes, enlarged to 32 x 32; needs no download.",
        takes_root=False,
        needs_root=False,
        open=open_digits,
    ),
    DatasetSource(
        "cifar10",
        "CIFAR-10",
        "60,000 photographs of 32 x 32 pixels in 10 classes; local, or downloaded on request (170 MB).",
        takes_root=True,
        needs_root=False,
        open=open_cifar10,
    ),
    DatasetSource(
        "cifar100",
        "CIFAR-100",
        "60,000 photographs of 32 x 32 pixels in 100 classes; local, or downloaded on request (170 MB).",
        takes_root=True,
        needs_root=False,
        open=open_cifar100,
    ),
    DatasetSource(
        "folder",
        "Your own folder of images",
        "One folder a class, below train/ and test/ or with a fifth of each class held out.",
        takes_root=True,
        needs_root=True,
        open=open_folder,
    ),
)
DATASETS: Mapping[str, DatasetSource] = {source.name: source for source in _ALL}
SIZES = (8, 1024)


def parse_dataset(text: str, size: int = 0) -> DatasetSpec:
    """The specification of `NAME` or `NAME:ROOT`; `str` of it gives the text again.

    Raises:
        UnlearnError: An unknown name, a folder missing or out of place, or an impossible size.
    """
    name, colon, root = text.strip().partition(":")
    spec = DatasetSpec(name, root, size)
    if colon and not root:
        raise UnlearnError(f"{text!r} names no folder after the colon; {_FORMS}.")
    _check(spec)
    return spec


def open_dataset(spec: DatasetSpec, report: Report = silent, *, download: bool = False) -> Dataset:
    """The data set, held in memory as uint8 tensors; nothing is downloaded unless `download` says so.

    Raises:
        UnlearnError: It isn't there, or isn't usable; the message says what to do.
    """
    _check(spec)
    return DATASETS[spec.name].open(spec, report, download)


def _check(spec: DatasetSpec) -> None:
    source = DATASETS.get(spec.name)
    if source is None:
        raise UnlearnError(f"There is no data set {str(spec)!r}; {_FORMS}.")
    if spec.root and not source.takes_root:
        raise UnlearnError(f"{str(spec)!r} names a folder, but {spec.name} is read from no folder; {_FORMS}.")
    if source.needs_root and not spec.root:
        raise UnlearnError(f"{str(spec)!r} names no folder; {_FORMS}.")
    low, high = SIZES
    if spec.size and not low <= spec.size <= high:
        raise UnlearnError(
            f"Images can't be {spec.size} pixels wide; choose {low} to {high}, or 0 for the usual size."
        )


_FORMS = "write digits, cifar10, cifar10:ROOT, cifar100, cifar100:ROOT or folder:PATH"
