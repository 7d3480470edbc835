"""Scikit-learn's handwritten digits: 1,797 real scans of 8 x 8 pixels that come with the library."""

import contextlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import torch

from unlearn_core.data.images import resized
from unlearn_core.data.sets import Dataset, assemble, image_set
from unlearn_core.data.spec import DatasetSpec
from unlearn_core.data.split import stratified
from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, Report

_SIZE = 32
_FILE = "sklearn/datasets/data/digits.csv.gz"


def open_digits(spec: DatasetSpec, report: Report, download: bool) -> Dataset:
    """The digits, enlarged, with a fifth of each class held out for testing.

    Raises:
        UnlearnError: Scikit-learn isn't installed.
    """
    report(Progress("reading files", 0, 1))
    # A row is 64 shades and the digit. Importing scikit-learn to have the file read would take longer than all the rest.
    rows = np.loadtxt(_source(), delimiter=",")
    classes = [str(digit) for digit in range(10)]
    # Shades are 0..16 in the source.
    grey = np.rint(rows[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    images = resized(np.repeat(grey[..., np.newaxis], 3, axis=-1), spec.size or _SIZE)
    labels = rows[:, -1].astype(int).tolist()
    parts = stratified(labels, [str(i) for i in range(len(labels))], classes)
    train, test = [image_set(images[torch.tensor(which)], [labels[i] for i in which]) for which in parts]
    report(Progress("reading files", 1, 1))
    return assemble(spec, classes, train, test)


def _source() -> Path:
    """The file that scikit-learn brings."""
    with contextlib.suppress(PackageNotFoundError):
        path = Path(str(distribution("scikit-learn").locate_file(_FILE)))
        if path.is_file():
            return path
    raise UnlearnError(
        "The digits come with scikit-learn, which isn't installed here, or not as a whole: pip install scikit-learn."
    )
