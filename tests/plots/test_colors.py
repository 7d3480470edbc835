"""Values as colours."""

import matplotlib
import numpy as np

from unlearn_core.plots.colors import SEQUENTIAL, colored, overlay


def test_colours_are_those_of_the_named_scheme() -> None:
    found = colored(np.linspace(0, 1, 256)[None], 1.0)[0].astype(int)
    expected = (matplotlib.colormaps[SEQUENTIAL](np.arange(256))[:, :3] * 255).astype(int)
    assert np.abs(found - expected).max() <= 12


def test_zero_is_darkest_and_more_is_brighter() -> None:
    shades = colored(np.linspace(0, 2, 50)[None], 2.0)[0] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(shades) >= 0).all()
    np.testing.assert_array_equal(colored(np.array([[5.0]]), 2.0), colored(np.array([[2.0]]), 2.0))


def test_silent_maps_and_missing_values_are_dark() -> None:
    dark = colored(np.zeros((1, 1)), 1.0)
    np.testing.assert_array_equal(colored(np.zeros((1, 1)), 0.0), dark)
    np.testing.assert_array_equal(colored(np.full((1, 1), np.nan), 1.0), dark)


def test_overlay_colours_where_the_map_is_high_and_leaves_grey_elsewhere() -> None:
    image = np.full((8, 8, 3), 100, np.uint8)
    values = np.array([[0.0, 1.0], [0.0, 0.0]])
    mixed = overlay(image, values, 1.0)
    assert mixed.shape == (128, 128, 3)
    assert (mixed[:64, 64:] == mixed[0, 127]).all() and mixed[0, 127, 0] > mixed[0, 127, 2] + 100
    assert (mixed[:, :64] == 75).all()
