"""CIFAR through torchvision, on a tiny archive of the published form."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from unlearn_core.data import cifar
from unlearn_core.data.cifar import CIFAR10_CLASSES
from unlearn_core.data.sets import Dataset
from unlearn_core.data.sources import open_dataset
from unlearn_core.data.spec import DatasetSpec
from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, Report, RunCancelled, silent

MakeFolder = Callable[..., Path]
FINE = [f"fine{i:02}" for i in range(100)]


class Published:
    """What would be on the server: batches of four images, whose checksums torchvision is told to expect."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.source: Any = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
        self.fetched: list[str] = []
        generator = np.random.default_rng(0)
        self.rows: dict[str, Any] = {}
        for key in [entry[0] for entry in self.source.train_list + self.source.test_list]:
            labels = generator.integers(0, len(FINE) if name == "cifar100" else 10, 4).tolist()
            kind = "fine_labels" if name == "cifar100" else "labels"
            self.rows[key] = {"data": generator.integers(0, 256, (4, 3072), dtype=np.uint8), kind: labels}
        meta = self.source.meta
        self.files = {key: pickle.dumps(row) for key, row in self.rows.items()}
        classes = FINE if name == "cifar100" else list(CIFAR10_CLASSES)
        self.files[meta["filename"]] = pickle.dumps({meta["key"]: classes})
        self.archive = self._archive()
        md5 = {key: hashlib.md5(content).hexdigest() for key, content in self.files.items()}
        for part in ("train_list", "test_list"):
            listed = [[key, md5[key]] for key, _ in getattr(self.source, part)]
            monkeypatch.setattr(self.source, part, listed)
        monkeypatch.setattr(self.source, "meta", {**meta, "md5": md5[meta["filename"]]})
        monkeypatch.setattr(self.source, "tgz_md5", hashlib.md5(self.archive).hexdigest())
        monkeypatch.setattr(cifar, "fetch", self.fetch)

    def _archive(self) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as tar:
            for key, content in self.files.items():
                member = tarfile.TarInfo(f"{self.source.base_folder}/{key}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return stream.getvalue()

    def fetch(self, url: str, target: Path, md5: str, report: Report) -> None:
        self.fetched.append(url)
        target.parent.mkdir(parents=True, exist_ok=True)
        report(Progress("downloading", 1, 1))
        target.write_bytes(self.archive)

    def unpack(self, root: Path) -> Path:
        folder = root / self.source.base_folder
        folder.mkdir(parents=True)
        for key, content in self.files.items():
            (folder / key).write_bytes(content)
        return folder

    def check(self, dataset: Dataset) -> None:
        for part, listed in ((dataset.train, self.source.train_list), (dataset.test, self.source.test_list)):
            rows = [self.rows[key] for key, _ in listed]
            data = np.concatenate([row["data"] for row in rows])
            labels = [label for row in rows for label in row.get("labels", row.get("fine_labels"))]
            assert np.array_equal(part.images, data.reshape(-1, 3, 32, 32))
            assert part.labels.tolist() == labels
            assert part.indices.tolist() == list(range(len(labels)))


@pytest.fixture(params=["cifar10", "cifar100"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def published(name: str, monkeypatch: pytest.MonkeyPatch) -> Published:
    return Published(name, monkeypatch)


def test_local_files_are_read_from_either_folder(published: Published, name: str, tmp_path: Path) -> None:
    folder = published.unpack(tmp_path)
    for root in (tmp_path, folder):
        dataset = open_dataset(DatasetSpec(name, str(root)))
        published.check(dataset)
    assert dataset.classes == (CIFAR10_CLASSES if name == "cifar10" else tuple(FINE))
    assert not published.fetched


def test_default_folder_is_below_the_home(published: Published, name: str, own_home: Path) -> None:
    published.unpack(own_home / "data")
    published.check(open_dataset(DatasetSpec(name)))


def test_without_data_nothing_is_fetched_and_the_way_is_told(
    published: Published, name: str, tmp_path: Path
) -> None:
    root = tmp_path / "none"
    with pytest.raises(
        UnlearnError, match=f"isn't there.*{name}:ROOT.*Download button.*datasets --download {name}"
    ) as caught:
        open_dataset(DatasetSpec(name, str(root)))
    assert str(root / published.source.base_folder) in str(caught.value)
    assert not published.fetched
    assert not root.exists()


def test_download_reports_unpacks_and_is_done_once(published: Published, name: str, tmp_path: Path) -> None:
    stages: list[str] = []
    for _ in range(2):
        published.check(
            open_dataset(DatasetSpec(name, str(tmp_path)), lambda p: stages.append(p.stage), download=True)
        )
    assert published.fetched == [published.source.url]
    assert list(dict.fromkeys(stages)) == ["downloading", "unpacking", "reading files"]
    published.check(open_dataset(DatasetSpec(name, str(tmp_path))))


def test_an_archive_put_there_by_hand_is_unpacked(published: Published, name: str, tmp_path: Path) -> None:
    (tmp_path / published.source.filename).write_bytes(published.archive)
    published.check(open_dataset(DatasetSpec(name, str(tmp_path)), download=True))
    assert not published.fetched


def test_damaged_files_are_not_opened_and_a_download_mends_them(
    published: Published, name: str, tmp_path: Path
) -> None:
    folder = published.unpack(tmp_path)
    victim = folder / published.source.test_list[0][0]

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "exploded",))

    victim.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UnlearnError, match="is incomplete or damaged"):
        open_dataset(DatasetSpec(name, str(tmp_path)))
    assert not (tmp_path / "exploded").exists()
    published.check(open_dataset(DatasetSpec(name, str(tmp_path)), download=True))
    (folder / published.source.meta["filename"]).unlink()
    with pytest.raises(UnlearnError, match="is incomplete or damaged"):
        open_dataset(DatasetSpec(name, str(tmp_path)))


def test_a_download_can_be_cancelled(published: Published, name: str, tmp_path: Path) -> None:
    def cancel(progress: Progress) -> None:
        raise RunCancelled

    with pytest.raises(RunCancelled):
        open_dataset(DatasetSpec(name, str(tmp_path)), cancel, download=True)
    assert not (tmp_path / published.source.base_folder).exists()


def test_another_size(published: Published, name: str, tmp_path: Path) -> None:
    published.unpack(tmp_path)
    dataset = open_dataset(DatasetSpec(name, str(tmp_path), 16))
    assert dataset.train.images.shape[1:] == (3, 16, 16)
    whole = open_dataset(DatasetSpec(name, str(tmp_path))).train.images
    truth = torch.nn.functional.interpolate(whole.float(), size=16, mode="bilinear", antialias=True)
    assert (dataset.train.images.float() - truth).abs().max() <= 1


def test_ten_class_folders_are_cifar10(make_folder: MakeFolder) -> None:
    root = make_folder(
        {f"{part}/{name}": 2 for part in ("train", "test") for name in CIFAR10_CLASSES}, size=(32, 32)
    )
    dataset = open_dataset(DatasetSpec("cifar10", str(root)))
    assert dataset.spec == DatasetSpec("cifar10", str(root))
    assert dataset.classes == CIFAR10_CLASSES
    assert dataset.train.images.shape == (20, 3, 32, 32)
    assert "Read from folders of images" in dataset.notes[0]
    expected = np.asarray(Image.open(root / "train/cat/1.png"))
    assert np.array_equal(dataset.train.images[7].permute(1, 2, 0), expected)
    assert dataset.train.labels[7] == 3


def test_other_class_folders_are_not_cifar10(make_folder: MakeFolder) -> None:
    root = make_folder({f"{part}/{name}": 2 for part in ("train", "test") for name in ("cat", "cow")})
    with pytest.raises(UnlearnError, match="Missing from the data: airplane.*Unknown to the model: cow"):
        open_dataset(DatasetSpec("cifar10", str(root)), silent)
