"""Small pictures as data URIs, for charts and tables that show images."""

import base64
import io

import numpy as np
from PIL import Image


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
