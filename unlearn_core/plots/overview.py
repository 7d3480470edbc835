"""The first page's strip of pictures: one channel's maps on images of a class and on others."""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from unlearn_core.plots.colors import map_uri
from unlearn_core.plots.tiles import image_uri

_STYLE = """<style>
.lethe-strip { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 4px 6px; }
.lethe-strip img { width: 100%; aspect-ratio: 1; image-rendering: pixelated; border-radius: 3px; }
.lethe-strip span { font-size: .8rem; text-align: center; opacity: .8; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; }
</style>"""


def strip(
    images: NDArray[np.uint8], maps: NDArray[np.floating], names: Sequence[str], high: float, channel: int
) -> str:
    """Six images, what one channel makes of each below it, and their classes, as HTML.

    Args:
        images: uint8 (6, H, W, 3).
        maps: The channel's rectified maps (6, h, w).
        names: The class of each image; any text.
        high: What the brightest colour stands for.
        channel: Its number, for the text alternative.
    """
    inputs = "".join(
        _img(image_uri(i), f"test image of {name}") for i, name in zip(images, names, strict=True)
    )
    fired = "".join(
        _img(map_uri(m, high), f"map of channel {channel} on an image of {name}: largest value {m.max():.3g}")
        for m, name in zip(maps, names, strict=True)
    )
    words = "".join(f"<span title='{escape(name, quote=True)}'>{escape(name)}</span>" for name in names)
    return f"{_STYLE}<div class='lethe-strip'>{inputs}{fired}{words}</div>"


def _img(uri: str, words: str) -> str:
    return f"<img src='{uri}' alt='{escape(words, quote=True)}' title='{escape(words, quote=True)}'>"
