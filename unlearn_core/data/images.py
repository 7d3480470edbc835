"""Decoding image files that nobody vouches for, with one written rule for each kind of pixel.

Accepted formats: PNG, JPEG (a camera's embedded previews, MPO, are left unread), WEBP, BMP, GIF, TIFF; told
by content, never by the file's extension; one frame. Refused from the header, before any pixel is decoded:
more than 25 million pixels, a side over 10,000 pixels, several frames. The order is: decode, turn as the EXIF
orientation says, convert to RGB by the table, cut the centred square, resize (Pillow's antialiased bilinear).

| Pillow mode           | rule                                                                               |
|-----------------------|------------------------------------------------------------------------------------|
| RGB, RGBX             | taken as it is (16 bits a channel: Pillow keeps the high byte)                     |
| 1, L                  | repeated in three channels; black is 0, white 255                                  |
| P                     | the palette's colours                                                              |
| CMYK                  | (255 - C)(255 - K) / 255 and so on, no profile; Adobe's inverted JPEGs put upright |
| YCbCr                 | the JPEG formula (BT.601, full range)                                              |
| LA, RGBA, PA          | laid over white                                                                    |
| 1, L, P, RGB with one | laid over white                                                                    |
| transparent colour    |                                                                                    |
| I;16 (16-bit grey)    | value / 65535 * 255, rounded; a transparent value becomes white                    |
| F (float grey)        | value * 255, rounded, if all lie within [0, 1]; else refused                       |
| all others (I, LAB)   | refused, as the range of their values isn't known                                  |
"""

import io
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from unlearn_core.errors import UnlearnError

DECODER = 1
"""Version of the rules above; raise it with any change of a pixel, and cached images are decoded again."""

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 25_000_000
MAX_SIDE = 10_000
MAX_BYTES = 128 * 1024**2

# Pillow only warns from 89 to 179 million pixels; we refuse far below, and make its warning an error besides.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

# What Pillow's decoders raise on damaged files; found by fuzzing, see the tests.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    LookupError,
    EOFError,
)
_BROKEN_TOO = (struct.error, RuntimeError, AssertionError, MemoryError)


def decode_image(source: bytes | Path, size: int, name: str) -> UInt8[Tensor, "3 size size"]:
    """The image as RGB, its centred square resized to `size` pixels, by the rules of this module.

    Args:
        source: The file's bytes, or where it lies.
        size: Side of the result in pixels; an image that has it already is not touched.
        name: What a person calls the file; stands in every message.

    Raises:
        UnlearnError: The file is no image, broken, too large, animated, or its pixels have no known range.
    """
    with _opened(source, name) as image:
        image.load()
        # After load: Pillow turns TIFFs by itself there and forgets the mark, so nothing is turned twice.
        ImageOps.exif_transpose(image, in_place=True)
        pixels = np.asarray(_squared(_to_rgb(image, name), size))
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def image_size(source: bytes | Path, name: str) -> tuple[int, int]:
    """Width and height in pixels from the header alone.

    Raises:
        UnlearnError: The file is no image, too large or animated.
    """
    with _opened(source, name) as image:
        width, height = image.size
    return width, height


def resized(images: UInt8[np.ndarray, "n H W 3"], size: int) -> UInt8[Tensor, "n 3 size size"]:
    """RGB arrays as one tensor, each image's centred square resized to `size` pixels."""
    count, height, width, _ = images.shape
    if (height, width) != (size, size):
        rows = [np.asarray(_squared(Image.fromarray(image), size)) for image in images]
        images = np.stack(rows) if rows else np.zeros((count, size, size, 3), np.uint8)
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


@contextmanager
def _opened(source: bytes | Path, name: str) -> Iterator[Image.Image]:
    """The image with its header checked; whatever Pillow raises while it is open becomes a sentence."""
    content = _content(source, name)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_header(image, name)
            yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UnlearnError(_too_large(name, str(error))) from error
    except UnidentifiedImageError as error:
        raise UnlearnError(f"{name} is not an image; accepted are {', '.join(FORMATS)}.") from error
    except _BROKEN + _BROKEN_TOO as error:
        raise UnlearnError(f"{name} is broken and can't be decoded ({error}).") from error


def _content(source: bytes | Path, name: str) -> bytes:
    """The file's bytes."""
    try:
        length = len(source) if isinstance(source, bytes) else source.stat().st_size
        if length > MAX_BYTES:
            raise UnlearnError(_too_large(name, f"{length / 1024**2:,.0f} MB"))
        return source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        raise UnlearnError(f"{name} can't be read ({error.strerror}).") from error


def _check_header(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise UnlearnError(_too_large(name, f"{width:,} x {height:,} pixels"))
    # An MPO's further frames are previews of the same photograph.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise UnlearnError(
            f"{name} holds more than one frame; save the frame to be used as an image of its own."
        )


def _too_large(name: str, size: str) -> str:
    return (
        f"{name} is too large ({size}); at most {MAX_PIXELS // 10**6} million pixels, {MAX_SIDE:,} a side "
        f"and {MAX_BYTES // 1024**2} MB are accepted."
    )


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode in _WITH_KEY and "transparency" in image.info:
        return _on_white(image, name)
    if image.mode not in _RULES:
        raise UnlearnError(
            f"{name} has pixels of the kind {image.mode!r}, whose range isn't known; save it as 8-bit RGB."
        )
    return _RULES[image.mode](image, name)


def _plain(image: Image.Image, name: str) -> Image.Image:
    return image.convert("RGB")


def _on_white(image: Image.Image, name: str) -> Image.Image:
    layer = image.convert("RGBA")
    white = Image.new("RGB", layer.size, "white")
    white.paste(layer, mask=layer.getchannel("A"))
    return white


def _sixteen_bit(image: Image.Image, name: str) -> Image.Image:
    values = np.asarray(image).astype(np.float64)
    shade = np.rint(values / 65535 * 255)
    return _grey(np.where(values == image.info.get("transparency", -1), 255, shade))


def _unit_float(image: Image.Image, name: str) -> Image.Image:
    values = np.asarray(image).astype(np.float64)
    # Written so that NaN fails too.
    if not (values.min() >= 0 and values.max() <= 1):
        raise UnlearnError(
            f"{name} has float pixels from {values.min():g} to {values.max():g}; scale them to [0, 1], "
            "or save it as 8-bit RGB."
        )
    return _grey(np.rint(values * 255))


def _grey(shade: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(shade.astype(np.uint8)).convert("RGB")


def _squared(image: Image.Image, size: int) -> Image.Image:
    """The centred square at the wanted size."""
    if image.size == (size, size):
        return image
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


_WITH_KEY = {"1", "L", "P", "RGB"}
_RULES: Mapping[str, Callable[[Image.Image, str], Image.Image]] = {
    **dict.fromkeys(("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"), _plain),
    **dict.fromkeys(("LA", "RGBA", "PA"), _on_white),
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), _sixteen_bit),
    "F": _unit_float,
}
