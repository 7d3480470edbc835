"""What the Open page asks of the core: a data set and a checkpoint that nobody vouches for."""

import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, Report
from unlearn_core.words import size

if TYPE_CHECKING:
    from unlearn_core.data.sets import Dataset

_SECONDS_BETWEEN = 0.2


@dataclass(frozen=True)
class Opened:
    """A model that was just opened, as the page tells of it.

    Attributes:
        reference: `imported:KEY`.
        data: The data set that it was opened with.
        file: What the person calls the file.
        arch: The architecture that was recognised or chosen.
        parameters: How many numbers it has.
        classes: How many classes it tells apart.
        digest: SHA-256 of the weights.
        normalization: The normalisation that was taken: name, mean, std.
        tried: Accuracy in [0, 1] by normalisation; empty where a card named it.
        images: On how many test images.
        chosen: How the one that was taken came to be.
        notes: Sentences that the person should know.
    """

    reference: str
    data: str
    file: str
    arch: str
    parameters: int
    classes: int
    digest: str
    normalization: dict[str, Any]
    tried: dict[str, float]
    images: int
    chosen: str
    notes: tuple[str, ...]


def open_data(text: str, download: bool = False, size: int = 0) -> "Dataset":
    """The data set, opened with a progress bar; leaving the page or any other click stops a download.

    Raises:
        UnlearnError: It isn't there or isn't usable.
    """
    from unlearn_core.data.sources import open_dataset, parse_dataset

    with progress_bar("Opening the data set") as report:
        return open_dataset(parse_dataset(text, size), report, download=download)


def import_checkpoint(path: Path, file: str, dataset: "Dataset", hints: Mapping[str, Any]) -> Opened:
    """Takes a checkpoint into the person's folder.

    Args:
        path: Where it lies.
        file: What the person calls it.
        dataset: The data that it was trained on.
        hints: What the file doesn't say, as `open_model` takes it.

    Raises:
        UnlearnError: It can't be trusted or understood, or doesn't fit the data.
    """
    from dataclasses import asdict

    from unlearn_core.checkpoints.model_files import import_model

    reference, loaded = import_model(path, dataset, name=file, **hints)
    facts = loaded.card.facts
    return Opened(
        reference,
        str(dataset.spec),
        file,
        loaded.card.spec.arch,
        sum(p.numel() for p in loaded.model.parameters()),
        len(loaded.card.classes),
        loaded.digest,
        asdict(loaded.card.normalization),
        dict(facts.get("normalization_tried", {})),
        int(facts.get("normalization_images", 0)),
        str(facts.get("normalization_chosen", "")),
        loaded.notes,
    )


@contextmanager
def uploaded(content: bytes, file: str) -> Iterator[Path]:
    """An uploaded file on disk, for as long as it is read; the person's file name never becomes a path."""
    harmless = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(file).stem).strip("-")[:60] or "upload"
    with tempfile.TemporaryDirectory(prefix="lethe-") as folder:
        path = Path(folder) / f"{harmless}.checkpoint"
        path.write_bytes(content)
        try:
            yield path
        except UnlearnError as error:
            # The message speaks of the file that the person knows.
            raise UnlearnError(str(error).replace(str(path), file).replace(path.name, file)) from error


def architectures() -> dict[str, str]:
    """The labels of all architectures by name."""
    from unlearn_core.models.registry import ARCHITECTURES

    return {name: architecture.label for name, architecture in ARCHITECTURES.items()}


@contextmanager
def progress_bar(words: str) -> Iterator[Report]:
    """A bar that shows progress as it is reported, gone at the end."""
    bar = st.progress(0.0, text=f"{words} …")
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN or progress.done == progress.total:
            last = time.monotonic()
            bar.progress(min(1.0, progress.done / max(1, progress.total)), text=_words(progress))

    try:
        yield report
    finally:
        bar.empty()


def _words(progress: Progress) -> str:
    if progress.metrics.get("unit") == "bytes":
        return f"{progress.stage.capitalize()}: {size(progress.done)} of {size(progress.total)}"
    return f"{progress.stage.capitalize()}: {progress.done:,} of {progress.total:,}"
