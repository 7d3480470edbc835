"""A person's own folder of images as a data set: hashed every time, decoded once."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import PIL
import torch
from jaxtyping import UInt8
from torch import Tensor

from unlearn_core.data import cache
from unlearn_core.data.files import ImageFile, list_images
from unlearn_core.data.images import DECODER, decode_image, image_size
from unlearn_core.data.sets import Dataset, assemble, image_set
from unlearn_core.data.spec import DatasetSpec
from unlearn_core.data.split import SPLIT_SEED, TEST_SHARE, stratified
from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, Report
from unlearn_core.words import trimmed_percent

T = TypeVar("T")

DEFAULT_SIZE = 64
SMALLEST_SIZE = 8
MAX_DECODED_BYTES = 8 * 1024**3
_NAMED = 5


def open_folder(spec: DatasetSpec, report: Report, download: bool) -> Dataset:
    """The images of a folder, with its test part or one drawn from it.

    Raises:
        UnlearnError: The folder's layout, or files that can't be used, each named.
    """
    listing = list_images(Path(spec.root).expanduser())
    files = listing.train + listing.test
    images = _decoded(files, spec.size, report)
    labels = [file.label for file in files]
    notes = [*listing.notes, *_size_note(spec, images)]
    if listing.test:
        train = list(range(len(listing.train)))
        test = list(range(len(listing.train), len(files)))
    else:
        train, test = stratified(labels, [file.name for file in files], listing.classes)
        notes.append(
            f"No test folder: {trimmed_percent(TEST_SHARE)} of each class, drawn with seed {SPLIT_SEED}, are held out."
        )
    parts = [image_set(images[torch.tensor(which)], [labels[i] for i in which]) for which in (train, test)]
    return assemble(spec, listing.classes, parts[0], parts[1], notes)


def _size_note(spec: DatasetSpec, images: UInt8[Tensor, "n 3 H W"]) -> list[str]:
    if spec.size:
        return []
    side = images.shape[-1]
    return [
        f"Images are {side} x {side} pixels: their common size, or {DEFAULT_SIZE} "
        "where they have none that small."
    ]


def _decoded(files: Sequence[ImageFile], size: int, report: Report) -> UInt8[Tensor, "n 3 size size"]:
    """The images of the files, from the cache where the same files were decoded before."""
    hashes = _each(files, "reading files", lambda i: _sha256(files[i]), report)
    key = _key(files, hashes, size)
    cached = cache.load(key)
    if cached is not None:
        return cached
    images = _decode(files, hashes, size or _common_size(files, report), report)
    cache.store(key, images)
    return images


def _decode(
    files: Sequence[ImageFile], hashes: Sequence[bytes], size: int, report: Report
) -> UInt8[Tensor, "n 3 size size"]:
    # One thread: a pool measured 2.5 times slower on 32-pixel JPEGs and hardly faster on photographs (two
    # cores), as threads wait for one another in Python's part of Pillow.
    if len(files) * 3 * size * size > MAX_DECODED_BYTES:
        raise UnlearnError(
            f"{len(files):,} images of {size} x {size} pixels need more than "
            f"{MAX_DECODED_BYTES // 1024**3} GiB; choose a smaller image size or fewer images."
        )
    images = torch.empty((len(files), 3, size, size), dtype=torch.uint8)

    def decode(i: int) -> None:
        content = _content(files[i])
        if hashlib.sha256(content).digest() != hashes[i]:
            raise UnlearnError(f"{files[i].name} changed while it was being read.")
        images[i] = decode_image(content, size, files[i].name)

    _each(files, "decoding images", decode, report)
    return images


def _common_size(files: Sequence[ImageFile], report: Report) -> int:
    """The side that all images share if it is square and small, else the default."""
    sizes = set(_each(files, "checking images", lambda i: image_size(files[i].path, files[i].name), report))
    width, height = sizes.pop()
    shared = not sizes and width == height and SMALLEST_SIZE <= width <= DEFAULT_SIZE
    return width if shared else DEFAULT_SIZE


def _each(files: Sequence[ImageFile], stage: str, work: Callable[[int], T], report: Report) -> list[T]:
    """The results of `work` on each file's position; one error names the files that it failed on."""
    results, problems = [], []
    for i in range(len(files)):
        try:
            results.append(work(i))
        except UnlearnError as error:
            problems.append(str(error))
        report(Progress(stage, i + 1, len(files)))
    if problems:
        more = f" And {len(problems) - _NAMED:,} more." if len(problems) > _NAMED else ""
        raise UnlearnError(
            f"{len(problems):,} of {len(files):,} files can't be used. {' '.join(problems[:_NAMED])}{more} "
            "Replace or remove them."
        )
    return results


def _content(file: ImageFile) -> bytes:
    try:
        return file.path.read_bytes()
    except OSError as error:
        raise UnlearnError(f"{file.name} can't be read ({error.strerror}).") from error


def _sha256(file: ImageFile) -> bytes:
    """Hash of a file's bytes, in blocks: it may be of any size."""
    try:
        with file.path.open("rb", buffering=0) as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise UnlearnError(f"{file.name} can't be read ({error.strerror}).") from error


def _key(files: Sequence[ImageFile], hashes: Sequence[bytes], size: int) -> str:
    """A hash of all that decides about the decoded pixels."""
    content = hashlib.sha256(f"{DECODER}/{PIL.__version__}/{size}/{len(files)}".encode())
    for file, file_hash in zip(files, hashes, strict=True):
        content.update(hashlib.sha256(os.fsencode(file.name)).digest() + file_hash)
    return content.hexdigest()
