"""All channels of a layer as one figure."""

import io

import numpy as np
import pytest
from PIL import Image

from unlearn_core.plots.colors import colored
from unlearn_core.plots.montage import montage_png


def picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).reshape(-1, 3)


@pytest.mark.parametrize("channels", [1, 3, 64])
def test_every_map_is_drawn_in_its_colours(channels: int) -> None:
    maps = np.linspace(0, 1, channels, dtype=np.float32)[:, None, None] * np.ones((1, 4, 4), np.float32)
    found = {tuple(p) for p in picture(montage_png(maps, 1.0, title="t"))}
    assert {tuple(colored(m, 1.0)[0, 0]) for m in maps} <= found


def test_own_scales_show_weak_maps_bright() -> None:
    maps = np.stack([np.full((4, 4), 0.01), np.full((4, 4), 9.0)])
    bright = colored(np.ones((1, 1)), 1.0)[0, 0]
    together = (picture(montage_png(maps, 9.0, title="t")) == bright).all(axis=1).sum()
    apart = (picture(montage_png(maps, maps.max(axis=(1, 2)), title="t")) == bright).all(axis=1).sum()
    assert apart > 1.8 * together


def test_names_are_text_and_silent_layers_draw() -> None:
    data = montage_png(np.zeros((2, 3, 3)), 0.0, title="$\\frac{", caption="_a_ {b} $")
    assert Image.open(io.BytesIO(data)).format == "PNG"
