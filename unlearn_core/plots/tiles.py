"""Small pictures as data URIs, for charts and tables that show images."""

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.uint8]
"""An image, (H, W, 3)."""


def image_uri(pixels: np.ndarray, size: int = 0) -> str:
    """A uint8 image (H, W, 3) or (H, W) as a PNG data URI; `size` enlarges it to that height, unblurred."""
    picture = Image.fromarray(pixels)
    if size:
        picture = picture.resize(
            (round(size * picture.width / picture.height), size), Image.Resampling.NEAREST
        )
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def pixels_of(image: "Tensor") -> Pixels:
    """A uint8 tensor (3, H, W) as an array (H, W, 3)."""
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def strip_uri(images: "Sequence[Tensor]") -> str:
    """Images (3, H, W) of one size side by side, as a PNG data URI."""
    return image_uri(np.concatenate([pixels_of(image) for image in images], axis=1))
