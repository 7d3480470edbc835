"""Every kind of pixel against hand-worked values, and files that mean harm."""

import io
import random
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from unlearn_core.data.images import FORMATS, decode_image, image_size, resized
from unlearn_core.errors import UnlearnError

GENERATOR = np.random.default_rng(0)
RGB = GENERATOR.integers(0, 256, (8, 8, 3), dtype=np.uint8)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def decoded(content: bytes, size: int) -> NDArray[np.uint8]:
    """As (H, W, 3)."""
    return decode_image(content, size, "a.png").permute(1, 2, 0).numpy()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG written by hand; colour 0 is grey, 2 RGB."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def bmp_header(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_rgb_comes_back_exactly(format: str) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    assert np.array_equal(decoded(encoded(Image.fromarray(RGB), format, **options), 8), RGB)


def test_result_is_a_uint8_tensor_of_channels_first() -> None:
    tensor = decode_image(encoded(Image.fromarray(RGB), "PNG"), 8, "a.png")
    assert tensor.shape == (3, 8, 8)
    assert tensor.is_contiguous()
    assert np.array_equal(tensor.numpy(), RGB.transpose(2, 0, 1))


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF"])
def test_grey_is_repeated(format: str) -> None:
    grey = RGB[..., 0]
    assert np.array_equal(decoded(encoded(Image.fromarray(grey), format), 8), np.stack([grey] * 3, -1))


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF"])
def test_one_bit_is_black_and_white(format: str) -> None:
    bits = RGB[..., 0] > 127
    image = Image.fromarray(bits)
    assert image.mode == "1"
    assert np.array_equal(decoded(encoded(image, format), 8), np.stack([bits * np.uint8(255)] * 3, -1))


def test_grey_with_alpha_is_laid_over_white_for_all_values() -> None:
    value, alpha = np.meshgrid(np.arange(256), np.arange(256))
    layers = np.stack([value, alpha], -1).astype(np.uint8)
    expected = np.floor((alpha * value + (255 - alpha) * 255) / 255 + 0.5)
    found = decoded(encoded(Image.fromarray(layers, "LA"), "PNG"), 256)
    assert np.array_equal(found, np.stack([expected] * 3, -1))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_rgba_is_laid_over_white(format: str) -> None:
    pixels = np.array([[[200, 100, 0, 255], [200, 100, 0, 0]], [[200, 100, 0, 51], [0, 0, 0, 128]]], np.uint8)
    # 51 / 255 is a fifth: 255 - (255 - 200) / 5 = 244, and so on.
    expected = [[[200, 100, 0], [255, 255, 255]], [[244, 224, 204], [127, 127, 127]]]
    assert decoded(encoded(Image.fromarray(pixels), format), 2).tolist() == expected


def palette_image() -> Image.Image:
    image = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    return image


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette_gives_its_colours(format: str) -> None:
    expected = [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [10, 20, 30]]]
    assert decoded(encoded(palette_image(), format), 2).tolist() == expected


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_transparent_palette_entry_becomes_white(format: str) -> None:
    expected = [[[10, 20, 30], [255, 255, 255]], [[70, 80, 90], [10, 20, 30]]]
    assert decoded(encoded(palette_image(), format, transparency=1), 2).tolist() == expected


def test_palette_with_alpha_for_each_entry() -> None:
    content = encoded(palette_image(), "PNG", transparency=bytes([51, 0, 255]))
    expected = [[[206, 208, 210], [255, 255, 255]], [[70, 80, 90], [206, 208, 210]]]
    assert decoded(content, 2).tolist() == expected


def test_transparent_colour_of_rgb_grey_and_one_bit() -> None:
    key = struct.pack(">HHH", 1, 2, 3)
    coloured = png(2, 2, 8, 2, b"\0\1\2\3\4\5\6\0\7\10\11\1\2\3", (b"tRNS", key))
    assert decoded(coloured, 2).tolist() == [[[255] * 3, [4, 5, 6]], [[7, 8, 9], [255] * 3]]
    grey = png(2, 2, 8, 0, b"\0\5\6\0\7\5", (b"tRNS", struct.pack(">H", 5)))
    assert decoded(grey, 2)[..., 0].tolist() == [[255, 6], [7, 255]]
    bits = png(2, 2, 1, 0, b"\0\x40\0\x00", (b"tRNS", struct.pack(">H", 0)))
    assert decoded(bits, 2)[..., 0].tolist() == [[255, 255], [255, 255]]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_shades(format: str) -> None:
    values = np.array([[0, 1000], [40000, 65535]], np.uint16)
    found = decoded(encoded(Image.fromarray(values), format), 2)
    assert found[..., 0].tolist() == [[0, 4], [156, 255]]  # value / 257: 3.89, 155.64
    assert np.array_equal(found[..., 0], found[..., 2])


def test_big_endian_sixteen_bit_tiff() -> None:
    values = np.array([[0, 1000], [40000, 65535]], ">u2")
    tags = [
        (256, 3, 2),
        (257, 3, 2),
        (258, 3, 16),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 3, 2),
        (279, 4, 8),
    ]
    entries = b"".join(
        struct.pack(">HHI", tag, kind, 1) + (struct.pack(">HH", v, 0) if kind == 3 else struct.pack(">I", v))
        for tag, kind, v in tags
    )
    content = (
        b"MM\0*" + struct.pack(">I", 16) + values.tobytes() + struct.pack(">H", 8) + entries + b"\0\0\0\0"
    )
    assert decoded(content, 2)[..., 0].tolist() == [[0, 4], [156, 255]]


def test_sixteen_bit_transparent_value_becomes_white() -> None:
    rows = b"\0" + struct.pack(">HH", 1000, 1001) + b"\0" + struct.pack(">HH", 40000, 0)
    content = png(2, 2, 16, 0, rows, (b"tRNS", struct.pack(">H", 1000)))
    assert decoded(content, 2)[..., 0].tolist() == [[255, 4], [156, 0]]


def test_sixteen_bit_colour_keeps_the_high_byte() -> None:
    rows = b"\0" + struct.pack(">HHH", 0x0102, 0x8000, 0xFFFF)
    assert decoded(png(1, 1, 16, 2, rows), 1).tolist() == [[[1, 128, 255]]]


def test_float_within_the_unit_range_is_scaled() -> None:
    values = np.array([[0, 0.25], [0.5, 1]], np.float32)
    assert decoded(encoded(Image.fromarray(values), "TIFF"), 2)[..., 1].tolist() == [[0, 64], [128, 255]]


@pytest.mark.parametrize("wrong", [255.0, -0.1, float("nan"), float("inf")])
def test_float_of_unknown_range_is_refused(wrong: float) -> None:
    values = np.array([[0, wrong], [0.5, 1]], np.float32)
    with pytest.raises(UnlearnError, match=r"a\.png has float pixels .*\[0, 1\]"):
        decoded(encoded(Image.fromarray(values), "TIFF"), 2)


def test_pixels_of_unknown_range_are_refused_by_their_kind() -> None:
    values = np.array([[0, 70000], [5, -1]], np.int32)
    with pytest.raises(UnlearnError, match=r"a\.png has pixels of the kind 'I'.*8-bit RGB"):
        decoded(encoded(Image.fromarray(values), "TIFF"), 2)
    with pytest.raises(UnlearnError, match="'LAB'"):
        decoded(encoded(Image.new("LAB", (2, 2)), "TIFF"), 2)


def test_cmyk_by_the_plain_formula() -> None:
    inks = GENERATOR.integers(0, 256, (8, 8, 4), dtype=np.uint8)
    expected = (255 - inks[..., :3].astype(float)) * (255 - inks[..., 3:].astype(float)) / 255
    found = decoded(encoded(Image.fromarray(inks, "CMYK"), "TIFF"), 8)
    assert np.abs(found - expected).max() <= 1
    assert np.abs(found - expected).mean() < 0.5


def test_inverted_cmyk_of_adobe_jpegs_is_put_upright() -> None:
    content = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    assert b"Adobe" in content
    assert np.abs(decoded(content, 16).astype(int) - [255, 0, 0]).max() <= 3


def test_ycbcr_by_the_jpeg_formula() -> None:
    content = encoded(Image.new("YCbCr", (2, 2), (100, 90, 160)), "TIFF")
    expected = [100 + 1.402 * 32, 100 - 0.344136 * -38 - 0.714136 * 32, 100 + 1.772 * -38]
    assert np.abs(decoded(content, 2) - expected).max() <= 1


TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_once(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    content = encoded(Image.fromarray(RGB), format, exif=exif, **options)
    assert np.array_equal(decoded(content, 8), TURNS[orientation](RGB))


def test_orientation_of_a_jpeg_turns_before_the_square_is_cut() -> None:
    wide = np.zeros((20, 40, 3), np.uint8)
    wide[:, :10] = 255  # the left quarter: on top once it is turned clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    found = decoded(encoded(Image.fromarray(wide), "JPEG", exif=exif, quality=100), 20)
    assert found.max() < 30  # the middle twenty rows hold none of it
    assert image_size(encoded(Image.fromarray(wide), "JPEG"), "a.jpg") == (40, 20)


def test_centred_square_is_cut_exactly_at_its_own_size() -> None:
    wide = GENERATOR.integers(0, 256, (6, 11, 3), dtype=np.uint8)
    tall = wide.swapaxes(0, 1)
    even = GENERATOR.integers(0, 256, (6, 10, 3), dtype=np.uint8)
    assert np.array_equal(decoded(encoded(Image.fromarray(even), "PNG"), 6), even[:, 2:8])
    assert decoded(encoded(Image.fromarray(wide), "PNG"), 6).shape == (6, 6, 3)
    turned = decoded(encoded(Image.fromarray(np.ascontiguousarray(tall)), "PNG"), 6)
    assert np.array_equal(turned, decoded(encoded(Image.fromarray(wide), "PNG"), 6).swapaxes(0, 1))


def test_shrinking_averages_and_a_flat_image_stays_flat() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    # Away from the border each pixel sees as much black as white; without antialiasing it would be 0 or 255.
    assert np.abs(decoded(encoded(Image.fromarray(stripes), "PNG"), 8)[:, 1:-1].astype(int) - 127).max() <= 1
    flat = Image.new("RGB", (3, 700), (7, 8, 9))
    assert (decoded(encoded(flat, "PNG"), 32) == [7, 8, 9]).all()


def test_resized_arrays_and_files_agree() -> None:
    images = GENERATOR.integers(0, 256, (3, 9, 14, 3), dtype=np.uint8)
    for size in (5, 9, 20):
        found = resized(images, size)
        assert found.shape == (3, 3, size, size)
        for image, tensor in zip(images, found, strict=True):
            assert np.array_equal(
                tensor.permute(1, 2, 0), decoded(encoded(Image.fromarray(image), "PNG"), size)
            )
    assert resized(images[:0], 5).shape == (0, 3, 5, 5)


def test_photograph_with_previews_gives_the_photograph() -> None:
    photo = Image.new("RGB", (16, 16), (200, 30, 30))
    content = encoded(photo, "MPO", save_all=True, append_images=[Image.new("RGB", (16, 16), (0, 0, 255))])
    assert np.abs(decoded(content, 16).astype(int) - [200, 30, 30]).max() <= 4


@pytest.mark.parametrize("format", ["GIF", "TIFF", "WEBP", "PNG"])
def test_several_frames_are_refused(format: str) -> None:
    frames = [Image.fromarray(np.roll(RGB, i, 0)) for i in range(6)]
    content = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    for read in (lambda: decode_image(content, 8, "moving"), lambda: image_size(content, "moving")):
        with pytest.raises(UnlearnError, match="moving holds more than one frame"):
            read()


NOT_IMAGES = {
    "html": b"<html><script>alert(1)</script></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    "text": b"cat\n",
    "empty": b"",
    "zip": b"PK\x03\x04" + bytes(60),
    "ppm": b"P6 1 1 255 abc",
    "ico": b"\0\0\1\0\1\0" + bytes(80),
}


@pytest.mark.parametrize("kind", NOT_IMAGES)
def test_what_is_no_image_is_refused_and_nothing_is_started(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(a))
    with pytest.raises(UnlearnError, match=r"a\.png is not an image; accepted are PNG, JPEG"):
        decoded(NOT_IMAGES[kind], 8)
    assert not started


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (png(13_000, 13_000, 1, 0, b""), "13,000 x 13,000"),  # 169 million pixels: Pillow only warns
        (png(20_000, 20_000, 1, 0, b""), "400000000 pixels"),  # Pillow refuses
        (png(5_001, 5_000, 8, 2, b""), "5,001 x 5,000"),  # Pillow says nothing
        (png(10_001, 1, 8, 2, b""), "10,001 x 1"),
        (png(1, 20_000, 8, 2, b""), "1 x 20,000"),
        (bmp_header(9_000, 9_000), "9,000 x 9,000"),
    ],
    ids=["169-million", "400-million", "25-million-and-a-bit", "wide", "tall", "bmp"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_too_large_is_told_from_the_header(content: bytes, found: str) -> None:
    # None of these holds a pixel: had decoding been tried, they would be called broken.
    with pytest.raises(UnlearnError, match=rf"a\.png is too large \(.*{found}"):
        decoded(content, 8)


def test_too_many_bytes_are_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    with path.open("wb") as file:
        file.truncate(129 * 1024**2)
    with pytest.raises(UnlearnError, match=r"big is too large \(129 MB\)"):
        decode_image(path, 8, "big")


def test_text_bomb_in_a_png_is_refused() -> None:
    bomb = b"k\0\0" + zlib.compress(bytes(70 * 1024**2), 9)
    with pytest.raises(UnlearnError, match="broken"):
        decoded(png(1, 1, 8, 2, b"\0\1\2\3", (b"zTXt", bomb)), 1)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnlearnError, match="cat/1.png can't be read"):
        decode_image(tmp_path / "no.png", 8, "cat/1.png")


def test_path_and_bytes_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(Image.fromarray(RGB), "PNG"))  # told by content, not by name
    assert np.array_equal(decode_image(path, 8, "a").permute(1, 2, 0), RGB)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_truncated_files_are_refused_or_complete(format: str) -> None:
    content = encoded(Image.fromarray(RGB), format)
    whole = decoded(content, 8)
    refused = 0
    for cut in np.linspace(1, len(content) - 1, 50, dtype=int):
        try:
            # What may be missing is an end mark: the pixels are all there, or it is an error.
            assert np.array_equal(decoded(content[:cut], 8), whole)
        except UnlearnError as error:
            assert "a.png is" in str(error)
            refused += 1
    assert refused >= 40


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::PIL.Image.DecompressionBombWarning")
def test_damage_ends_in_an_image_or_a_sentence(format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(
        Image.fromarray(RGB), format, **({"exif": exif} if format not in ("BMP", "GIF") else {})
    )
    dice = random.Random(0)
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(dice.choice((1, 3))):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            assert decoded(bytes(damaged), 8).shape == (8, 8, 3)
        except UnlearnError as error:
            assert str(error).startswith("a.png ")
