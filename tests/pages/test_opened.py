"""What stands behind a selection follows the files: other images under the same path are other data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.parts import opened
from pages.parts.selection import Selection
from unlearn_core.channels.activations import ActivationStats, save_stats
from unlearn_core.data.sets import Dataset
from unlearn_core.running.worker import execute
from unlearn_core.store.runs import RunStore

BUNDLED = "bundled:cifar10-resnet20"
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten images in each of two classes."""
    monkeypatch.setenv("LETHE_HOME", str(tmp_path / "home"))
    for name in ("cat", "dog"):
        for i in range(10):
            draw(tmp_path / "images" / name / f"{i}.png", seed=i)
    return tmp_path / "images"


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([seed, *path.parent.name.encode()]).integers(
        0, 256, (16, 16, 3), dtype=np.uint8
    )
    Image.fromarray(pixels).save(path)


def look(selection: Selection) -> Dataset:
    """The data set as a click some seconds later finds it."""
    opened._tree.clear()
    return opened.dataset(selection)


def chosen(root: Path, model: str = "") -> Selection:
    return Selection(model, f"folder:{root}", "cat", (), "", -1, "", "", -1)


def test_data_are_opened_once_until_a_file_changes(root: Path) -> None:
    first = look(chosen(root))
    assert look(chosen(root)) is first
    draw(root / "cat" / "3.png", seed=99)
    changed = look(chosen(root))
    assert changed.digest != first.digest and len(changed.train) == len(first.train)
    (root / "dog" / "9.png").unlink()
    assert len(look(chosen(root)).train) + len(look(chosen(root)).test) == 19


def test_scores_of_other_images_are_not_shown(root: Path) -> None:
    data = look(chosen(root))
    stats = ActivationStats(("cat", "dog"), "bn_relu", {"conv": np.ones((2, 3))}, np.array([8, 8]))

    def score(kind: str, request: object, folder: Path, report: object) -> dict[str, object]:
        save_stats(stats, folder / "stats.npz")
        return {"inputs": {"data_digest": data.digest}}

    store = RunStore()
    record = store.create("score", {"settings": {"model": "", "data": str(data.spec)}}, "one", "cpu", "")
    assert execute(store, record.id, score) == 0, store.get(record.id).error
    assert opened.stats(chosen(root)) is not None
    draw(root / "cat" / "3.png", seed=99)
    look(chosen(root))
    assert opened.stats(chosen(root)) is None
    app = AppTest.from_function(asks, args=(chosen(root),), default_timeout=60).run()
    assert "The scores at hand are of other images" in app.warning[0].value


def asks(selection):  # type: ignore[no-untyped-def]  # only its body is run, so it knows no names of this file
    from pages.parts.score_run import ask_for_scores

    ask_for_scores(selection, "bn_relu")


def test_the_pack_speaks_of_its_own_images_only(root: Path) -> None:
    for part in ("train", "test"):
        for name in CIFAR10:
            draw(root / "cifar" / part / name / "0.png", seed=0)
    other = replace(chosen(root, BUNDLED), data=f"cifar10:{root / 'cifar'}")
    assert opened.in_pack(BUNDLED, other.data) and opened.stats(other) is not None
    look(other)
    assert not opened.in_pack(BUNDLED, other.data) and opened.stats(other) is None
    assert opened.in_pack(BUNDLED, "cifar10") and not opened.in_pack(BUNDLED, "digits")
