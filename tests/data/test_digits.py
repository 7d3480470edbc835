"""The bundled digits against scikit-learn's own arrays."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from unlearn_core.data import digits
from unlearn_core.data.sources import open_dataset
from unlearn_core.data.spec import DatasetSpec
from unlearn_core.data.split import stratified
from unlearn_core.errors import UnlearnError

SOURCE = load_digits()


def test_all_1797_digits_split_once_and_for_all() -> None:
    dataset = open_dataset(DatasetSpec("digits"))
    assert dataset.classes == tuple("0123456789")
    assert len(dataset.train) + len(dataset.test) == 1797
    assert dataset.train.images.shape[1:] == (3, 32, 32)
    totals = np.bincount(SOURCE.target)
    assert torch.bincount(dataset.test.labels).tolist() == [round(n / 5) for n in totals]
    assert (
        torch.bincount(dataset.train.labels) + torch.bincount(dataset.test.labels)
    ).tolist() == totals.tolist()
    assert open_dataset(DatasetSpec("digits")).digest == dataset.digest
    assert not dataset.notes


def test_at_their_own_size_the_shades_are_the_sources() -> None:
    dataset = open_dataset(DatasetSpec("digits", size=8))
    train, test = stratified(SOURCE.target.tolist(), [str(i) for i in range(1797)], list("0123456789"))
    for part, which in ((dataset.train, train), (dataset.test, test)):
        expected = np.rint(SOURCE.images[which] / 16 * 255)
        for channel in range(3):
            assert np.array_equal(part.images[:, channel], expected)
        assert np.array_equal(part.labels, SOURCE.target[which])


def test_enlarging_is_bilinear() -> None:
    small = open_dataset(DatasetSpec("digits", size=8)).train.images[:50]
    large = open_dataset(DatasetSpec("digits")).train.images[:50]
    truth = torch.nn.functional.interpolate(
        small.float(), size=(32, 32), mode="bilinear", align_corners=False
    )
    assert (large.float() - truth).abs().max() <= 1


@pytest.mark.parametrize("there", [True, False])
def test_without_scikit_learn_it_says_what_to_install(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Distribution:
        def locate_file(self, name: str) -> Path:
            return tmp_path / name

    def found(name: str) -> Distribution:
        if not there:
            raise PackageNotFoundError(name)
        return Distribution()

    monkeypatch.setattr(digits, "distribution", found)
    with pytest.raises(UnlearnError, match="pip install scikit-learn"):
        open_dataset(DatasetSpec("digits"))
