"""Small folders of images, and a home of the test's own."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeFolder = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("LETHE_HOME", str(home))
    return home


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Writes random PNGs: `{"train/cat": 3}` makes three in that folder; every call draws other pixels."""
    generator = np.random.default_rng(0)

    def make(counts: Mapping[str, int], size: tuple[int, int] = (12, 12), name: str = "photos") -> Path:
        root = tmp_path / name
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                pixels = generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / folder / f"{i}.png")
        return root

    return make
