"""All channels of a layer as one printed figure."""

import io
import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unlearn_core.plots.colors import SEQUENTIAL, colored

Maps = NDArray[np.floating]

_GAP = 1 / 8  # of a tile
_TILE_PIXELS = 96
_LONGEST_SIDE = 60.0  # inches; beyond that tiles shrink


def montage_png(
    maps: Maps,
    high: float | NDArray[np.floating],
    *,
    title: str,
    caption: str = "",
    first: int = 0,
    dpi: int = 120,
) -> bytes:
    """A PNG of all maps (C, H, W) with channel numbers, and a colour bar that names minimum, zero and maximum.

    Args:
        maps: Rectified maps of one layer.
        high: What the brightest colour stands for: one value, or one a channel (C,) where each has its own scale.
        title: First line, for instance model and layer.
        caption: Second line, for instance the image and its prediction.
        first: Number of the first channel.
        dpi: Pixels an inch; a tile is about an inch wide.
    """
    count = len(maps)
    columns = math.ceil(math.sqrt(count * 1.4))
    rows = math.ceil(count / columns)
    inch = min(1.0, _LONGEST_SIDE / max(columns, rows))
    width, height = max(columns * inch, 4.5) + 0.4, rows * inch * (1 + _GAP) + 1.55
    figure = Figure(figsize=(width, height), dpi=dpi)
    FigureCanvasAgg(figure)
    own_scales = np.ndim(high) > 0
    tops = np.broadcast_to(np.asarray(high, dtype=float), (count,))
    axes = figure.add_axes((0.2 / width, 0.75 / height, 1 - 0.4 / width, rows * inch * (1 + _GAP) / height))
    _draw_tiles(axes, maps, tops, columns, first)
    figure.text(
        0.2 / width, 1 - 0.28 / height, title, fontsize=12, weight="bold", va="center", parse_math=False
    )
    figure.text(
        0.2 / width, 1 - 0.55 / height, caption, fontsize=9, color="0.35", va="center", parse_math=False
    )
    _draw_bar(
        figure,
        (0.2 / width, 0.42 / height, min(3.6, width - 0.9) / width, 0.12 / height),
        maps,
        tops,
        own_scales,
    )
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _draw_tiles(axes: Axes, maps: Maps, tops: NDArray[np.float64], columns: int, first: int) -> None:
    """One picture of all tiles: a picture a tile would take seconds for wide layers."""
    count, height, width = maps.shape
    rows = math.ceil(count / columns)
    times = max(1, _TILE_PIXELS // max(height, width))
    across, down, gap = width * times, height * times, round(_GAP * height * times)
    canvas = np.full((rows * (down + 2 * gap), columns * (across + gap), 3), 255, np.uint8)
    for i, (tile, top) in enumerate(zip(maps, tops, strict=True)):
        row, column = divmod(i, columns)
        y, x = row * (down + 2 * gap) + 2 * gap, column * (across + gap)
        canvas[y : y + down, x : x + across] = colored(tile, float(top)).repeat(times, 0).repeat(times, 1)
        axes.text(x, y - gap * 0.3, str(first + i), fontsize=7, va="bottom", color="0.35")
    axes.imshow(canvas, interpolation="nearest")
    axes.axis("off")


def _draw_bar(
    figure: Figure,
    box: tuple[float, float, float, float],
    maps: Maps,
    tops: NDArray[np.float64],
    own_scales: bool,
) -> None:
    low, top = float(np.min(maps)), float(tops.max())
    axes = figure.add_axes(box)
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), SEQUENTIAL), cax=axes, orientation="horizontal")
    bar.set_ticks([0, 1], labels=["0", "each channel's maximum" if own_scales else f"{top:.4g}"])
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    facts = f"layer: min {low:.4g}, max {float(np.max(maps)):.4g}"
    figure.text(
        box[0] + box[2] + 0.15 / figure.get_figwidth() + 0.02,
        box[1] + box[3] / 2,
        facts,
        fontsize=8,
        color="0.35",
        va="center",
    )
