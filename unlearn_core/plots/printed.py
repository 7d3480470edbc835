"""Charts of the pages as still pictures, for slides and papers."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from unlearn_core.plots.colors import ACCENT, QUIET, SEQUENTIAL
from unlearn_core.plots.heatmap import Heatmap


def heatmap_png(heatmap: Heatmap, title: str) -> bytes:
    """The heatmap with its title, colour bar, frame and crosses, as PNG."""
    channels = list(heatmap.channels)
    values = heatmap.values[:, channels]
    figure = Figure(
        figsize=(max(7.0, 0.16 * len(channels) + 2), 0.28 * len(heatmap.classes) + 1.6),
        dpi=150,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    high = float(np.nanmax(heatmap.values)) or 1.0
    picture = axes.imshow(values, cmap=SEQUENTIAL, vmin=0, vmax=high, aspect="auto", interpolation="nearest")
    axes.set_title(title, loc="left", fontsize=10, parse_math=False)
    names = [f"X {name}" if i in heatmap.forgotten else name for i, name in enumerate(heatmap.classes)]
    axes.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    step = max(1, len(channels) // 40)
    axes.set_xticks(
        range(0, len(channels), step), [str(c) for c in channels[::step]], fontsize=7, rotation=90
    )
    axes.set_xlabel("channel (crosses: pruned at this ratio; strokes: dead)", fontsize=8)
    for column, channel in enumerate(channels):
        if channel in heatmap.pruned:
            axes.text(column, -0.85, "x", color=ACCENT, ha="center", va="center", fontsize=8, weight="bold")
        if channel in heatmap.dead:
            axes.axvline(column, color=QUIET, linewidth=1, linestyle=":")
    figure.colorbar(picture, ax=axes, ticks=[0, high], format="%.3g", shrink=0.8)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
