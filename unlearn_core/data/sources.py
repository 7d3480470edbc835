"""The data sets that can be opened, by name; what is known of them is known without torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from unlearn_core.data.spec import DatasetSpec
from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Report, silent

if TYPE_CHECKING:
    from unlearn_core.data.sets import Dataset

    Open = Callable[[DatasetSpec, Report, bool], Dataset]


@dataclass(frozen=True)
class Download:
    """What can be fetched on request.

    Attributes:
        size: How much that is.
        origin: Where it comes from.
    """

    size: str
    origin: str


@dataclass(frozen=True)
class DatasetSource:
    """An entry of `DATASETS`.

    Attributes:
        name: What a person types.
        label: What it is called.
        about: One sentence.
        short: What a page calls it.
        caption: What stands below that on a page.
        code: Where the function stands that opens it, as `module:function`.
        takes_root: Whether a folder may be named.
        needs_root: Whether a folder must be named.
        download: What can be fetched where it isn't there yet; None for nothing.
    """

    name: str
    label: str
    about: str
    short: str
    caption: str
    code: str
    takes_root: bool = False
    needs_root: bool = False
    download: Download | None = None

    @property
    def open(self) -> "Open":
        """Opens it: from specification, report, and whether a download is allowed."""
        function: Open = resolve_name(self.code)
        return function

    @property
    def forms(self) -> list[str]:
        """How a person writes it."""
        return (
            [f"{self.name}:PATH"]
            if self.needs_root
            else [self.name, *[f"{self.name}:ROOT"] * self.takes_root]
        )

    @property
    def form(self) -> str:
        """How a person writes it, what may be left out in brackets."""
        return f"{self.name}[:ROOT]" if self.takes_root and not self.needs_root else self.forms[0]


_OF_CIFAR = Download("170 MB", "the authors' page at the University of Toronto")
_ALL = (
    DatasetSource(
        name="digits",
        label="Handwritten digits",
        about="Scikit-learn's 1,797 real handwritten digits in 10 classes, enlarged to 32 x 32; needs no download.",
        short="Handwritten digits",
        caption="1,797 scans of digits in 10 classes, 32 × 32 pixels. Comes with Lethe.",
        code="unlearn_core.data.digits:open_digits",
    ),
    DatasetSource(
        name="cifar10",
        label="CIFAR-10",
        about="60,000 photographs of 32 x 32 pixels in 10 classes; local, or downloaded on request (170 MB).",
        short="CIFAR-10",
        caption="60,000 photographs in 10 classes, 32 × 32 pixels. Local, or a download of 170 MB.",
        code="unlearn_core.data.cifar:open_cifar10",
        takes_root=True,
        download=_OF_CIFAR,
    ),
    DatasetSource(
        name="cifar100",
        label="CIFAR-100",
        about="60,000 photographs of 32 x 32 pixels in 100 classes; local, or downloaded on request (170 MB).",
        short="CIFAR-100",
        caption="60,000 photographs in 100 classes, 32 × 32 pixels. Local, or a download of 170 MB.",
        code="unlearn_core.data.cifar:open_cifar100",
        takes_root=True,
        download=_OF_CIFAR,
    ),
    DatasetSource(
        name="folder",
        label="Your own folder of images",
        about="One folder a class, below train/ and test/ or with a fifth of each class held out.",
        short="Your own images",
        caption="A folder with one folder a class, or with train/ and test/ above the classes.",
        code="unlearn_core.data.folder:open_folder",
        takes_root=True,
        needs_root=True,
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
        raise UnlearnError(f"{text!r} names no folder after the colon; {_write()}.")
    _check(spec)
    return spec


def open_dataset(spec: DatasetSpec, report: Report = silent, *, download: bool = False) -> "Dataset":
    """The data set, held in memory as uint8 tensors; nothing is downloaded unless `download` says so.

    Raises:
        UnlearnError: It isn't there, or isn't usable; the message says what to do.
    """
    _check(spec)
    return DATASETS[spec.name].open(spec, report, download)


def forms() -> str:
    """How the data sets are written, what may be left out in brackets."""
    return _either([source.form for source in DATASETS.values()])


def _write() -> str:
    return f"write {_either([form for source in DATASETS.values() for form in source.forms])}"


def _either(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]])


def _check(spec: DatasetSpec) -> None:
    source = DATASETS.get(spec.name)
    if source is None:
        raise UnlearnError(f"There is no data set {str(spec)!r}; {_write()}.")
    if spec.root and not source.takes_root:
        raise UnlearnError(
            f"{str(spec)!r} names a folder, but {spec.name} is read from no folder; {_write()}."
        )
    if source.needs_root and not spec.root:
        raise UnlearnError(f"{str(spec)!r} names no folder; {_write()}.")
    low, high = SIZES
    if spec.size and not low <= spec.size <= high:
        raise UnlearnError(
            f"Images can't be {spec.size} pixels wide; choose {low} to {high}, or 0 for the usual size."
        )
