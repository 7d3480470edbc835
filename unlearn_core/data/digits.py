"""Scikit-learn's handwritten digits: 1,797 real scans of 8 x 8 pixels that come with the library."""

import numpy as np
import torch

from unlearn_core.data.images import resized
from unlearn_core.data.sets import Dataset, DatasetSpec, assemble, image_set
from unlearn_core.data.split import stratified
from unlearn_core.progress import Progress, Report

_SIZE = 32


def open_digits(spec: DatasetSpec, report: Report, download: bool) -> Dataset:
    """The digits, enlarged, with a fifth of each class held out for testing."""
    from sklearn.datasets import load_digits

    report(Progress("reading files", 0, 1))
    source = load_digits()
    classes = [str(digit) for digit in range(10)]
    # Shades are 0..16 in the source.
    grey = np.rint(source.images * (255 / 16)).astype(np.uint8)
    images = resized(np.repeat(grey[..., np.newaxis], 3, axis=-1), spec.size or _SIZE)
    labels = source.target.tolist()
    parts = stratified(labels, [str(i) for i in range(len(labels))], classes)
    train, test = [image_set(images[torch.tensor(which)], [labels[i] for i in which]) for which in parts]
    report(Progress("reading files", 1, 1))
    return assemble(spec, classes, train, test)
